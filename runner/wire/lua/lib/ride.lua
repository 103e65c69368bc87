-- ride(...): a turn of a lane: up to `room` of its jobs that rank before the head of the tenant's next lane.
local function ride(here, name, room, till, at, abort, draft)
  local lane = here .. 'lane:' .. name
  local jobs = redis.call('ZRANGE', lane, '-inf', till or '+inf', 'BYSCORE', 'LIMIT', 0, room, 'WITHSCORES')
  local served, is_skipped, is_asked = serve(here, lane_of(name), jobs, at, abort)
  for i = 1, served do
    draft.ids[#draft.ids + 1] = jobs[i * 2 - 1]
    draft.skipped[jobs[i * 2 - 1]] = is_skipped
  end
  draft.is_asked = draft.is_asked or is_asked
  return served
end
