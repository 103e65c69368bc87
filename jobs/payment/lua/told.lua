-- told: forget a message that was handed on.
--
-- KEYS  outbox      hash  message id -> what the merchant is told
-- ARGV  message_id  str   the message
-- GIVES 1, or 0 when it was forgotten before
-- FAILS nothing
-- COST  O(1)
return redis.call('HDEL', outbox, message_id)
