-- settle(...): which of these (id, token) pairs may still speak for their job: 1 yes, 0 lost, 2 nobody holds it.
-- A lease that ran out unclaimed still counts: nobody else has started the job.
local function settle(running, arq, ids, tokens)
  local leases = {}
  for i, id in ipairs(ids) do
    leases[i] = arq .. 'in-progress:' .. id
  end
  leases = redis.call('MGET', unpack(leases))
  local entries, verdicts = redis.call('HMGET', running, unpack(ids)), {}
  for i = 1, #ids do
    local holder = owner(entries[i])
    if not holder and not leases[i] then
      verdicts[i] = 2
    else
      verdicts[i] = holder == tokens[i] and (not leases[i] or leases[i] == tokens[i]) and 1 or 0
    end
  end
  return verdicts
end
