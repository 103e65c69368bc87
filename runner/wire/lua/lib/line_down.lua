-- line_down(key, line): write what turns have changed in a line.
local function line_down(key, line)
  local moves = {}
  for name, pass in pairs(line.moved) do
    moves[#moves + 1], moves[#moves + 2] = string.format('%.17g', pass), name
  end
  if #moves > 0 then
    redis.call('ZADD', key, 'XX', unpack(moves))
  end
  if #line.gone > 0 then
    redis.call('ZREM', key, unpack(line.gone))
  end
end
