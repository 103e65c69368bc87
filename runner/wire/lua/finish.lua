-- finish: write how attempts of one queue ended.
--
-- KEYS  queue      zset  job id -> due at (ms)
-- KEYS  running    hash  job id -> token fence worker alone
-- KEYS  suspects   zset  jobs that wait to run alone
-- KEYS  dead       zset  dead letters
-- KEYS  abort      zset  cancellations asked for
-- KEYS  nodes_ended zset  nodes of workflows that ended
-- ARGV  arq        str   prefix of arq's keys
-- ARGV  ours       str   prefix of our keys
-- ARGV  here       str   prefix of the queue's lanes and gates
-- ARGV  now_ms     int   0 = ask the server
-- ARGV  ends       rest  id, token, fence, verb, ms, result, note, attempt, node; repeated, at most 500, an id once
--
-- verb   ms                          result    note
-- done   keep the result (<0 ever)    envelope  ms to keep the lease for arq's cron, or ''
-- dead   keep the result             envelope  'reason {json}', or 'reason n ', n bytes of payload, '{json}': with a
--                                              job that is enqueued beside the letter
-- again  delay                       ''        json of the attempt
-- later  delay                       place     why it waits; place: '' counts as a snooze, 1 has a place in line, 0 has none
-- suspend                            slot       why it waits; the job's record says until when
-- back   due at, as claimed          ''        ''
-- sort   due at, as claimed          ''        spec of the lane that it belongs in: it comes back by that, like back
--
-- GIVES one number an end: 1 written, 0 lost (another worker holds the job: nothing written), 2 nobody does (a repeat)
-- FAILS BADVERB: an end has none of the verbs above; nothing is written
-- COST  O(log n) a job
-- USES  now text holds settle keep close reopen snooze suspend exhume weigh bury follow inter give_back resign leave
-- USES  lane_of spec_of vacate_all note_node
local at, ids, tokens, verbs, over = now(now_ms), {}, {}, {}, {}
local batch = { mine = {}, ended = {}, gone = {}, moves = {} }

local write = {
  done = function(id, _, keep_ms, result, lease_ms)
    close(batch, arq, ours, id, result, keep_ms, lease_ms)
  end,
  dead = function(id, _, keep_ms, result, note, attempt)
    inter(queue, dead, arq, ours, id, text(at), note, attempt)
    close(batch, arq, ours, id, result, keep_ms, '')
  end,
  again = function(id, fence, delay_ms, _, note, attempt)
    reopen(batch, arq, id, text(at + tonumber(delay_ms)))
    redis.call('HSET', ours .. 'job:' .. id, 'f', fence, 'a' .. attempt, note, 'l', delay_ms, 'w', '')
    redis.call('HDEL', ours .. 'job:' .. id, 't', 'a' .. text(tonumber(attempt) - 20))
  end,
  later = function(id, fence, delay_ms, place, note)
    snooze(batch, arq, ours .. 'job:' .. id, id, fence, text(at + tonumber(delay_ms)), place, note)
  end,
  suspend = function(id, fence, _, slot, why)
    suspend(batch, arq, ours .. 'job:' .. id, id, fence, at, slot, why)
  end,
  back = function(id, fence, due)
    give_back(queue, running, arq, ours, id, due, fence)
  end,
  sort = function(id, fence, due, _, spec)
    redis.call('HSET', here .. 'laned', id, spec)
    give_back(queue, running, arq, ours, id, due, fence)
  end,
}

for i = 1, ends_n, 9 do
  local n = #ids + 1
  ids[n], tokens[n], verbs[n] = ends(i), ends(i + 1), write[ends(i + 3)]
  if not verbs[n] then
    return redis.error_reply('BADVERB ' .. ends(i + 3))
  end
end
local verdicts = settle(queue, running, arq, ids, tokens)
for n, id in ipairs(ids) do
  if verdicts[n] == 1 then
    local i = n * 9 - 6
    batch.mine[#batch.mine + 1] = id
    verbs[n](id, ends(i), ends(i + 2), ends(i + 3), ends(i + 4), ends(i + 5))
    note_node(nodes_ended, id, at, ends(i), ends(i + 6))
    over[n] = verbs[n] == write.done or verbs[n] == write.dead
  end
end
vacate_all(here, ids, verdicts, over)
leave(batch, queue, running, suspects, abort, ours)
return verdicts
