-- enter(...): write down what grant() gathered: ends of leases, holders, attempts (which thereby lose any TTL).
local function enter(lot, queue, running)
  if #lot.moves > 0 then
    redis.call('ZADD', queue, 'XX', unpack(lot.moves))
    redis.call('HSET', running, unpack(lot.entries))
    redis.call('MSET', unpack(lot.counts))
  end
end
