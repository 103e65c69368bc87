-- report(...): append one claimed job to the answer. A due below zero (a job put first by hand) is told as 0.
local function report(found, id, payload, attempt, due, fence, deaths, snoozes, last_ms, alone, aborted, flags, laned)
  local n = #found
  due = string.byte(due) == 45 and '0' or due
  found[n + 1], found[n + 2], found[n + 3], found[n + 4], found[n + 5] = id, payload, attempt, due, fence
  found[n + 6], found[n + 7], found[n + 8], found[n + 9], found[n + 10] = deaths, snoozes, last_ms, alone, aborted
  found[n + 11], found[n + 12] = flags, laned
end
