-- settle(...): which of these (id, token) pairs may still speak for their job: 1 yes, 0 lost, 2 nobody holds it.
-- A lease that ran out unclaimed still counts: nobody else has started the job. One that a stock worker took over and
-- ended does not: the job is not in the queue any more.
local function settle(queue, running, arq, ids, tokens)
  local leases, verdicts = {}, {}
  for i, id in ipairs(ids) do
    leases[i] = arq .. 'in-progress:' .. id
  end
  leases = redis.call('MGET', unpack(leases))
  local entries, dues = redis.call('HMGET', running, unpack(ids)), redis.call('ZMSCORE', queue, unpack(ids))
  for i, token in ipairs(tokens) do
    local entry, lease = entries[i], leases[i]
    local is_mine = holds(entry, token)
    if is_mine and lease == token then
      verdicts[i] = 1
    elseif not dues[i] or not entry and not lease then
      verdicts[i] = 2
    else
      verdicts[i] = is_mine and not lease and 1 or 0
    end
  end
  return verdicts
end
