-- look_again(...): let lanes come back that wait under gates which are worth a look: as many as a gate lets pass, at most
-- 50 lanes of 10 gates a call.
local function look_again(here, at)
  for _, key in ipairs(redis.call('ZRANGE', here .. 'shut', '-inf', text(at), 'BYSCORE', 'LIMIT', 0, 10)) do
    local line, state, back = here .. 'waiting:' .. key, nil, 0
    for _, name in ipairs(redis.call('ZRANGE', line, 0, 49)) do
      local lane = lane_of(name)
      for _, gate in ipairs(state and {} or lane.gates) do
        state = gate.key == key and gate_of(here, gate, at) or state
      end
      local head = redis.call('ZRANGE', here .. 'lane:' .. name, 0, 0, 'WITHSCORES')
      if state.free > back or not head[1] then
        redis.call('ZREM', line, name)
      end
      if state.free > back and head[1] then
        back = back + 1
        activate(here, lane.tenant, name, head[2])
      end
    end
    if redis.call('EXISTS', line) == 0 then
      redis.call('ZREM', here .. 'shut', key)
    else
      local is_worth_more = state.free > back and at
      redis.call('ZADD', here .. 'shut', text(state.closed_until or is_worth_more or 1e15), key)
    end
  end
end
