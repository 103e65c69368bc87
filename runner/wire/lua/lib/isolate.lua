-- isolate(...): 1 if this busy worker shall stop claiming, become idle and then run the suspects alone. One worker at
-- a time is the ward; it stays it while it renews leases, and ends it by claiming idle.
local function isolate(ward, suspects, worker, is_idle, lease_ms)
  if is_idle == 1 then
    if redis.call('GET', ward) == worker then
      redis.call('DEL', ward)
    end
    return 0
  end
  if redis.call('EXISTS', suspects) == 0 then
    return 0
  end
  redis.call('SET', ward, worker, 'NX', 'PX', lease_ms)
  return redis.call('GET', ward) == worker and 1 or 0
end
