-- ride_alone(...): as ride(), for a tenant whose jobs all stand in this one lane; its head's rank is of no account then.
local function ride_alone(here, name, room, at, abort, draft)
  local lane = here .. 'lane:' .. name
  local jobs, is_stopped = redis.call('ZRANGE', lane, 0, room), false
  local served = math.min(room, #jobs)
  if string.find(name, '\31', 1, true) then
    served, is_stopped = serve(here, lane_of(name), jobs, 1, served, at, abort, draft)
  else
    local ids, n = draft.ids, #draft.ids
    for i = 1, served do
      ids[n + i], draft.specs[jobs[i]] = jobs[i], true
    end
  end
  if served == #jobs then
    draft.emptied[#draft.emptied + 1] = lane
  elseif served > 0 then
    redis.call('ZREMRANGEBYRANK', lane, 0, served - 1)
  end
  return served, is_stopped or served == #jobs
end
