-- shelve(...): put ready jobs (lists in step) into their lanes, a command or two a lane. A lane that had jobs before is
-- being served, or waits under a gate.
local function shelve(queue, here, ids, dues, specs)
  local order, jobs, heads, moves = {}, {}, {}, {}
  for i, id in ipairs(ids) do
    local priority, lane = spec_of(specs[i])
    local place = rank(here, dues[i], priority)
    if not jobs[lane] then
      order[#order + 1], jobs[lane], heads[lane] = lane, {}, place
    end
    local stands = jobs[lane]
    stands[#stands + 1], stands[#stands + 2] = place, id
    heads[lane] = tonumber(place) < tonumber(heads[lane]) and place or heads[lane]
    moves[#moves + 1], moves[#moves + 2] = parked(dues[i]), id
  end
  for _, lane in ipairs(order) do
    local key, head = here .. 'lane:' .. lane.text, heads[lane]
    if redis.call('ZADD', key, unpack(jobs[lane])) == redis.call('ZCARD', key) then
      activate(here, lane.tenant, lane.text, head)
    else
      redis.call('ZADD', here .. 'lanes:' .. lane.tenant, 'XX', 'LT', head, lane.text)
    end
  end
  if #moves > 0 then
    redis.call('ZADD', queue, unpack(moves))
  end
end
