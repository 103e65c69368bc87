-- spec_of(spec): the priority and the lane that a laned job's spec names.
local specs_read = {}
local function spec_of(spec)
  local known = specs_read[spec]
  if not known then
    local priority, lane = string.match(spec, '^(%d)\31(.*)$')
    known = { tonumber(priority or 5), lane_of(lane or '') }
    specs_read[spec] = known
  end
  return known[1], known[2]
end
