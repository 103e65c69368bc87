-- dead_letters_import: put exported dead letters back; they count as new for retention. What exists is left as it is.
--
-- FLAGS none
-- KEYS  queue    zset   job id -> due at (ms)
-- KEYS  dead     zset   job id -> died at (ms)
-- KEYS  audit    stream what people did
-- KEYS  op       str    answers of this call, if it was made before
-- ARGV  arq      str    prefix of arq's keys
-- ARGV  ours     str    prefix of our keys
-- ARGV  now_ms   int    0 = ask the server
-- ARGV  by       str    who asks
-- ARGV  letters  rest   id, number of fields, then name, value of each; repeated, at most 100
-- GIVES one digit a letter, as one text: 1 written, 0 there is a dead letter of that id, 2 a job of that id is alive
-- FAILS nothing (the server refuses it whole with OOM when memory is full)
-- COST  O(log n) a letter
-- USES  now text weigh record
local before = redis.call('GET', op)
if before then
  return before
end
local at = text((now(now_ms)))
local answers, written, i = {}, {}, 1
while i <= letters_n do
  local id, fields = letters(i), {}
  local letter = ours .. 'dead:' .. id
  for n = 1, letters(i + 1) * 2 do
    fields[n] = letters(i + 1 + n)
  end
  i = i + 2 + #fields
  if redis.call('EXISTS', letter) == 1 then
    answers[#answers + 1] = '0'
  elseif redis.call('EXISTS', arq .. 'job:' .. id) == 1 or redis.call('ZSCORE', queue, id) then
    answers[#answers + 1] = '2'
  else
    redis.call('HSET', letter, unpack(fields))
    redis.call('HSET', letter, 'queue', queue)
    weigh(dead, letter)
    redis.call('ZADD', dead, at, id)
    answers[#answers + 1], written[#written + 1] = '1', id
  end
end
record(audit, at, 'import', by, written)
redis.call('SET', op, table.concat(answers), 'EX', 3600)
return table.concat(answers)
