-- due_of(score): when a job is due by its place in the queue; that of one that stands in a lane is parked(). false for none.
local function due_of(score)
  local ready = score and #score == 16 and string.match(score, '^100([1-9]%d*)$')
  if ready then -- the form that nearly all have: no detour over a number
    return ready
  end
  local due = tonumber(score or '')
  return due and due >= 1e15 and text(due - 1e15) or score
end
