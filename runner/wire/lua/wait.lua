-- wait: ask whether what a running job waits for has come; its time begins with the first call.
--
-- A slot is a field of the job's record, one for each wait: `?` and the time until which it lasts, `+` and the data
-- of the signal that came, or `-`: the time has passed. The n-th wait for a signal is given the n-th that comes; a wait
-- whose time passes uses up its number, so that what comes later goes to the next one.
--
-- KEYS  queue    zset  job id -> due at (ms)
-- KEYS  running  hash  job id -> token fence worker alone
-- ARGV  arq      str   prefix of arq's keys
-- ARGV  ours     str   prefix of our keys
-- ARGV  now_ms   int   0 = ask the server
-- ARGV  id       str   the job
-- ARGV  token    str   proves the lease
-- ARGV  slot     str   field of the record
-- ARGV  counter  str   field that counts the signals of that name; '' for a sleep
-- ARGV  for_ms   int   how long it lasts
-- ARGV  limit    int   bytes that all records of the job may take
-- GIVES a word and its data: came (what the slot holds), held (until when, in ms), lost or full ('')
-- FAILS nothing
-- COST  O(1)
-- USES  now text holds settle room
if settle(queue, running, arq, { id }, { token })[1] ~= 1 then
  return { 'lost', '' }
end
local at, history = now(now_ms), ours .. 'job:' .. id
local known = redis.call('HGET', history, slot)
if known and string.sub(known, 1, 1) ~= '?' then
  return { 'came', known }
end
if not known and not room(history, #slot + #counter + 20, limit) then
  return { 'full', '' }
end
local till = known and tonumber(string.sub(known, 2)) or at + for_ms
if till > at then
  redis.call('HSET', history, slot, '?' .. text(till))
  return { 'held', text(till) }
end
redis.call('HSET', history, slot, '-')
if counter ~= '' then
  redis.call('HINCRBY', history, counter, 1)
  redis.call('HSET', history, 'x', slot)
end
return { 'came', '-' }
