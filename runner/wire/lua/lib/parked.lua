-- parked(due): the score of a ready job that stands in a lane: so far off that no page of due jobs meets it, and its due
-- time can be read from it. 1e15 ms is the year 33658.
local function parked(due)
  return text(1e15 + math.max(0, tonumber(due)))
end
