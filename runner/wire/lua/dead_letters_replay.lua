-- dead_letters_replay: make dead letters jobs again: same id, same payload, attempts 0, due now.
--
-- Each letter moves whole or not at all, so a crash of whoever calls neither loses nor doubles one. What is known of
-- the life that ended stays with the job: `f` its fence, which only rises, `r` counts replays, `z` is the note of its
-- last attempt, `d` its deaths (a job that killed workers runs alone again); durable records (`b`, and all names with
-- a colon) too.
--
-- KEYS  queue    zset   job id -> due at (ms)
-- KEYS  dead     zset   job id -> died at (ms)
-- KEYS  abort    zset   cancellations asked for; a stale one must not meet the replayed job
-- KEYS  audit    stream what people did
-- KEYS  op       str    answers of this call, if it was made before
-- ARGV  arq      str    prefix of arq's keys
-- ARGV  ours     str    prefix of our keys
-- ARGV  now_ms   int    0 = ask the server
-- ARGV  by       str    who asks
-- ARGV  letters  rest   id, payload ('' = as it is); repeated, at most 100
-- GIVES one digit a letter, as one text: 1 replayed, 0 no dead letter of that id, 2 a job of that id is alive,
-- GIVES 3 its payload is gone
-- FAILS nothing
-- COST  O(log n) a letter
-- USES  now text exhume record rearm
local before = redis.call('GET', op)
if before then
  return before
end
local at = text((now(now_ms)))
local answers, replayed, stays = {}, {}, { f = true, d = true, r = true, b = true }

local function revive(id, letter, payload)
  exhume(dead, ours, id)
  rearm(letter)
  local note = redis.call('HGET', letter, 'note')
  for _, name in ipairs(redis.call('HKEYS', letter)) do
    if not stays[name] and not string.find(name, ':', 1, true) then
      redis.call('HDEL', letter, name)
    end
  end
  redis.call('HSET', letter, 'z', note or '')
  redis.call('HINCRBY', letter, 'r', 1)
  redis.call('RENAME', letter, ours .. 'job:' .. id)
  redis.call('SET', arq .. 'job:' .. id, payload)
  redis.call('DEL', arq .. 'retry:' .. id, arq .. 'result:' .. id)
  redis.call('ZADD', queue, at, id)
  redis.call('ZREM', abort, id)
  replayed[#replayed + 1] = id
  return '1'
end

for i = 1, letters_n, 2 do
  local id, edited = letters(i), letters(i + 1)
  local letter = ours .. 'dead:' .. id
  local payload = edited ~= '' and edited or redis.call('HGET', letter, 'payload')
  if not redis.call('ZSCORE', dead, id) then
    answers[#answers + 1] = '0'
  elseif redis.call('EXISTS', arq .. 'job:' .. id) == 1 or redis.call('ZSCORE', queue, id) then
    answers[#answers + 1] = '2'
  else
    answers[#answers + 1] = payload and revive(id, letter, payload) or '3'
  end
end
record(audit, at, 'replay', by, replayed)
redis.call('SET', op, table.concat(answers), 'EX', 3600)
return table.concat(answers)
