-- isolate(...): 1 if this worker shall claim nothing else, become idle and then run the suspects alone. One worker at a
-- time is the ward; it stays it while it renews what it ran before, and then runs one suspect after the other until none
-- waits or its office ends: becoming idle is what costs, and jobs of others shall not wait for all of them.
local function isolate(ward, suspects, worker, is_idle, is_alone, lease_ms)
  local is_wanted = redis.call('EXISTS', suspects) == 1
  if is_idle == 0 and is_wanted then
    redis.call('SET', ward, worker, 'NX', 'PX', lease_ms)
  end
  if redis.call('GET', ward) ~= worker then
    return 0
  elseif is_wanted and (is_idle == 0 or is_alone == 1) then
    return 1
  elseif is_idle == 1 then
    redis.call('DEL', ward)
  end
  return 0
end
