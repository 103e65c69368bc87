-- eased(...): what an adaptive limit grants in a period now, and when it was cut: from what it was cut to it rises by the whole
-- rate in its time of recovery. A clock that jumps, either way, is time that has passed.
local function eased(ours, name, at, count, period)
  local state = redis.call('GET', ours .. 'adaptive:' .. name) or ''
  local cut, was_period, since, recover = string.match(state, '^(%d+) (%d+) (%d+) (%d+)$')
  if not cut then
    return count
  end
  local risen = tonumber(cut) * (period / tonumber(was_period)) + count * math.abs(at - tonumber(since)) / tonumber(recover)
  return math.max(1, math.min(count, math.floor(risen))), tonumber(since)
end
