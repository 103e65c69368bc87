-- take(...): what is to be done with an operation nobody holds, and the state it gets. Nothing is sent for the first
-- time before it is written here that it is: whoever finds 'sending' later on knows that it may have been sent. Who only
-- looks is given nothing to send, and keeps others from sending meanwhile.
local function take(op, state, at, is_known, safe_ms, only_looks)
  if state == 'created' and only_looks then
    return 'look', state
  elseif state == 'created' then
    if not is_known then
      return 'ask', state
    end
    redis.call('HSET', op, 'sent_at', text(at))
    redis.call('HDEL', op, 'last_at')
    return 'send', 'sending'
  elseif state == 'sending' or state == 'unknown' or state == 'resolving' then
    if safe_ms > 0 and not only_looks and at - tonumber(redis.call('HGET', op, 'sent_at')) < safe_ms then
      redis.call('HSET', op, 'last_at', text(at), 'reads', '0')
      return 'replay', 'resolving'
    end
    return 'look', 'resolving'
  elseif state == 'pending' or state == 'requires_action' then
    return 'look', state
  end
  return 'done', state
end
