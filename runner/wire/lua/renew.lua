-- renew: move the end of a worker's leases in one queue; a worker that is its ward stays it while it becomes idle. Of
-- leases that are lost it takes back that they counted as deaths: whoever renews lives.
--
-- KEYS  queue     zset  job id -> due at (ms)
-- KEYS  running   hash  job id -> token fence worker alone
-- KEYS  suspects  zset  jobs that wait to run alone
-- KEYS  ward      str   the worker that becomes idle to run suspects
-- ARGV  arq       str   prefix of arq's keys
-- ARGV  ours      str   prefix of our keys
-- ARGV  now_ms    int   0 = ask the server
-- ARGV  lease_ms  int   length of the lease from now
-- ARGV  leases    rest  id, token; repeated, at most 500
-- GIVES ids of the leases that are lost: another worker holds the job, or it has ended
-- FAILS nothing
-- COST  O(log n) a lease
-- USES  now text owner holds settle forgive
local at = now(now_ms)
local ids, tokens, moves, lost = {}, {}, {}, {}
for i = 1, leases_n, 2 do
  ids[#ids + 1], tokens[#tokens + 1] = leases(i), leases(i + 1)
end
for n, verdict in ipairs(settle(queue, running, arq, ids, tokens)) do
  if verdict == 1 then
    redis.call('SET', arq .. 'in-progress:' .. ids[n], tokens[n], 'PX', lease_ms)
    moves[#moves + 1], moves[#moves + 2] = text(at + lease_ms), ids[n]
  else
    lost[#lost + 1] = ids[n]
    forgive(suspects, ours, ids[n], tokens[n])
  end
end
if #moves > 0 then
  redis.call('ZADD', queue, 'XX', unpack(moves))
  local isolating = redis.call('GET', ward)
  local _, _, worker, is_alone = owner(isolating and redis.call('HGET', running, moves[2]))
  if isolating and worker == isolating and not is_alone then
    redis.call('PEXPIRE', ward, lease_ms)
  end
end
return lost
