-- heard: note that an event of the gateway was taken in, or say whether it was; and have an operation looked at soon.
--
-- KEYS  event    str   of this event, PX
-- KEYS  open     zset  operation -> look at it at (ms)
-- ARGV  keep_ms  int   so long the event is remembered; 0: only say whether it was taken in
-- ARGV  hurry    str   an open operation to be looked at with the next sweep; empty: none
-- GIVES 1 the event was taken in before, 0 it was not
-- FAILS nothing
-- COST  O(log n)
local was_heard = redis.call('EXISTS', event)
if hurry ~= '' then
  redis.call('ZADD', open, 'XX', 'LT', 0, hurry)
end
if keep_ms > 0 then
  redis.call('SET', event, 1, 'PX', keep_ms)
end
return was_heard
