-- inter(...): bury a job as the worker's note tells, 'reason {json}', or with a job that is enqueued beside the letter.
local function inter(queue, dead, arq, ours, id, at_ms, note, attempt)
  local reason, size, info = string.match(note, '^(%S*) ?(%d*) ?(.*)$')
  local length = tonumber(size) or 0
  bury(dead, arq, ours, id, at_ms, queue, reason, attempt, string.sub(info, length + 1))
  if length > 0 then
    follow(queue, arq, ours, id, at_ms, string.sub(info, 1, length))
  end
end
