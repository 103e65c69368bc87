-- reopen(...): an attempt ended and its job goes on, due then; noted in `batch`.
local function reopen(batch, arq, id, due)
  local moves, gone = batch.moves, batch.gone
  moves[#moves + 1], moves[#moves + 2] = due, id
  gone[#gone + 1] = arq .. 'in-progress:' .. id
end
