-- leave(...): write down what close() and reopen() noted: the jobs leave their holder.
local function leave(batch, queue, running, suspects, abort, ours)
  if #batch.gone > 0 then
    redis.call('DEL', unpack(batch.gone))
  end
  if #batch.moves > 0 then
    redis.call('ZADD', queue, 'XX', unpack(batch.moves))
  end
  if #batch.ended > 0 then
    redis.call('ZREM', queue, unpack(batch.ended))
    redis.call('ZREM', abort, unpack(batch.ended))
    resign(ours, batch.ended)
  end
  if #batch.mine > 0 then
    redis.call('HDEL', running, unpack(batch.mine))
    redis.call('ZREM', suspects, unpack(batch.mine))
  end
end
