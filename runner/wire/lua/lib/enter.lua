-- enter(...): write down what grant() gathered: ends of leases, holders, attempts (which thereby lose any TTL). With
-- `suspects` it is one of them that runs alone.
local function enter(lot, queue, running, suspects)
  if #lot.moves == 0 then
    return
  end
  redis.call('ZADD', queue, 'XX', unpack(lot.moves))
  redis.call('HSET', running, unpack(lot.entries))
  redis.call('MSET', unpack(lot.counts))
  if suspects then
    redis.call('ZREM', suspects, lot.moves[#lot.moves])
  end
end
