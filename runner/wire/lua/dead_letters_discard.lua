-- dead_letters_discard: delete dead letters for good.
--
-- KEYS  dead    zset   job id -> died at (ms)
-- KEYS  audit   stream what people did
-- KEYS  op      str    answers of this call, if it was made before
-- ARGV  ours    str    prefix of our keys
-- ARGV  now_ms  int    0 = ask the server
-- ARGV  verb    str    discard or purge, for the audit
-- ARGV  by      str    who asks
-- ARGV  ids     rest   job ids, at most 100
-- GIVES one digit a letter, as one text: 1 deleted, 0 no dead letter of that id
-- FAILS nothing
-- COST  O(log n) a letter
-- USES  now text exhume record
local before = redis.call('GET', op)
if before then
  return before
end
local answers, gone = {}, {}
for i = 1, ids_n do
  local id = ids(i)
  answers[i] = '0'
  if exhume(dead, ours, id) then
    redis.call('UNLINK', ours .. 'dead:' .. id)
    answers[i], gone[#gone + 1] = '1', id
  end
end
record(audit, text((now(now_ms))), verb, by, gone)
redis.call('SET', op, table.concat(answers), 'EX', 3600)
return table.concat(answers)
