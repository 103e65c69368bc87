-- forgive(...): the worker that held this lease lives: that it ran out was no death. Nothing where it counted as none.
local function forgive(suspects, ours, id, token)
  local history = ours .. 'job:' .. id
  local known = redis.call('HMGET', history, 'd', 'v')
  local from, to = string.find(known[2] or '', token .. ' ', 1, true)
  if not from then
    return
  end
  local deaths = tonumber(known[1]) - 1
  redis.call('HSET', history, 'd', deaths, 'v', string.sub(known[2], 1, from - 1) .. string.sub(known[2], to + 1))
  if deaths < 2 then
    redis.call('ZREM', suspects, id)
  end
end
