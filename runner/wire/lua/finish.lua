-- finish: write how attempts of one queue ended.
--
-- KEYS  queue      zset  job id -> due at (ms)
-- KEYS  running    hash  job id -> token fence worker alone
-- KEYS  suspects   zset  jobs that must run alone
-- KEYS  dead       zset  dead letters
-- KEYS  abort      zset  cancellations asked for
-- ARGV  arq        str   prefix of arq's keys
-- ARGV  ours       str   prefix of our keys
-- ARGV  now_ms     int   0 = ask the server
-- ARGV  ends       rest  id, token, fence, verb, ms, result, note, attempt; repeated, at most 500
--
-- verb   ms                          result    note
-- done   keep the result (-1 ever)   envelope  ms to keep the lease for arq's cron, or ''
-- dead   keep the result             envelope  'reason {json}'
-- again  delay                       ''        json of the attempt
-- later  delay                       ''        why it waits
-- back   due at, as claimed          ''        ''
--
-- GIVES one number an end: 1 written, 0 lost (another worker holds the job: nothing written), 2 nobody holds it
-- GIVES (written before, when this call is a repeat)
-- FAILS nothing
-- COST  O(log n) a job
-- USES  now text owner settle bury
local at = now(now_ms)
local ids, tokens, ended, gone, moves = {}, {}, {}, {}, {}
for i = 1, ends_n, 8 do
  ids[#ids + 1], tokens[#tokens + 1] = ends(i), ends(i + 1)
end
local verdicts = settle(running, arq, ids, tokens)

local function keep(id, result, ms)
  if result ~= '' and ms ~= '0' then
    if ms == '-1' then
      redis.call('SET', arq .. 'result:' .. id, result)
    else
      redis.call('SET', arq .. 'result:' .. id, result, 'PX', ms)
    end
  end
end

local function close(id, lease_ms)
  ended[#ended + 1] = id
  gone[#gone + 1] = arq .. 'job:' .. id
  gone[#gone + 1] = arq .. 'retry:' .. id
  gone[#gone + 1] = ours .. 'job:' .. id
  if lease_ms == '' then
    gone[#gone + 1] = arq .. 'in-progress:' .. id
  else
    redis.call('SET', arq .. 'in-progress:' .. id, '1', 'PX', lease_ms)
  end
end

local function reopen(id, due, fence)
  moves[#moves + 1], moves[#moves + 2] = due, id
  gone[#gone + 1] = arq .. 'in-progress:' .. id
  if fence then
    redis.call('HSET', ours .. 'job:' .. id, 'f', fence)
  end
  redis.call('PERSIST', arq .. 'job:' .. id)
end

local write = {
  done = function(id, _, ms, result, note)
    keep(id, result, ms)
    close(id, note)
  end,
  dead = function(id, _, ms, result, note, attempt)
    keep(id, result, ms)
    local reason, info = string.match(note, '^(%S+) (.*)$')
    bury(dead, arq, ours, id, text(at), queue, reason, attempt, info)
    close(id, '')
  end,
  again = function(id, fence, ms, _, note, attempt)
    reopen(id, text(at + tonumber(ms)), fence)
    redis.call('HSET', ours .. 'job:' .. id, 'a' .. attempt, note, 'l', ms, 'w', '')
    redis.call('HDEL', ours .. 'job:' .. id, 'a' .. text(tonumber(attempt) - 20))
  end,
  later = function(id, fence, ms, _, note)
    reopen(id, text(at + tonumber(ms)), fence)
    redis.call('DECR', arq .. 'retry:' .. id)
    redis.call('HINCRBY', ours .. 'job:' .. id, 's', 1)
    redis.call('HSET', ours .. 'job:' .. id, 'w', note)
  end,
  back = function(id, _, ms)
    reopen(id, ms)
    redis.call('DECR', arq .. 'retry:' .. id)
  end,
}

for n, id in ipairs(ids) do
  if verdicts[n] == 1 then
    local i = (n - 1) * 8
    write[ends(i + 4)](id, ends(i + 3), ends(i + 5), ends(i + 6), ends(i + 7), ends(i + 8))
  end
end
if #gone > 0 then
  redis.call('DEL', unpack(gone))
end
if #ended > 0 then
  redis.call('ZREM', queue, unpack(ended))
  redis.call('ZREM', abort, unpack(ended))
end
if #moves > 0 then
  redis.call('ZADD', queue, 'XX', unpack(moves))
end
local mine = {}
for n, id in ipairs(ids) do
  mine[#mine + 1] = verdicts[n] == 1 and id or nil
end
if #mine > 0 then
  redis.call('HDEL', running, unpack(mine))
  redis.call('ZREM', suspects, unpack(mine))
end
return verdicts
