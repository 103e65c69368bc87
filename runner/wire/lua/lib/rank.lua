-- rank(here, due, priority): where a job stands in its lane. A step of priority is worth a fixed head start, so whoever
-- waits is overtaken only for so long; strict priorities are a step that is longer than any wait.
local step_ms
local function rank(here, due, priority)
  step_ms = step_ms or rule(here, 'step') or 60000
  return text(math.max(0, tonumber(due)) + (priority - 5) * step_ms)
end
