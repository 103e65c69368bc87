-- spec_of(spec): the priority and the lane that a laned job's spec names.
local function spec_of(spec)
  local priority, lane = string.match(spec, '^(%d)\31(.*)$')
  return tonumber(priority or 5), lane_of(lane or '')
end
