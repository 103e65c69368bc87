-- count_decline(...): remember a declined attempt of a card for as long as the longest cap looks back.
local DECLINED = { declined_soft = true, declined_hard = true }
local function count_decline(declines, was, to, op_id, at, is_hard, keep_ms)
  if was.kind ~= 'charge' or not DECLINED[to] then
    return
  end
  redis.call('ZADD', declines, text(at), (is_hard and '!' or '') .. op_id .. ' ' .. (was.attempt or '1'))
  redis.call('ZREMRANGEBYSCORE', declines, '-inf', text(at - keep_ms))
  redis.call('PEXPIRE', declines, text(keep_ms))
end
