-- board(...): a lane's turn: up to `room` of its jobs that rank no later than `till`, where that is given. Gives how many,
-- the rank of the next, and whether the lane waits under a gate now.
local function board(here, name, room, till, at, abort, draft)
  local lane, most = here .. 'lane:' .. name, till and math.min(room, 3) or room
  local jobs = redis.call('ZRANGE', lane, 0, most, 'WITHSCORES')
  most = math.min(most, #jobs / 2)
  while till and most > 0 and tonumber(jobs[most * 2]) > till do
    most = most - 1
  end
  local served, is_stopped = serve(here, lane_of(name), jobs, 2, most, at, abort, draft)
  local head = jobs[served * 2 + 2]
  if not head then
    draft.emptied[#draft.emptied + 1] = lane
  elseif served > 0 then
    redis.call('ZREMRANGEBYRANK', lane, 0, served - 1)
  end
  return served, head, is_stopped
end
