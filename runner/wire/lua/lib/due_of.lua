-- due_of(score): when a job is due by its place in the queue; that of one that stands in a lane is parked(). false for none.
local function due_of(score)
  local due = tonumber(score or '')
  return due and due >= 1e15 and text(due - 1e15) or score
end
