-- admit(...): grant what is wanted of each bucket, or note a place in the lines of those that lack it. Gives 0 granted or
-- 1 denied, us until all tokens are there, us to the place. wait() gives the same two for one bucket.
local function wait(bucket, need, is_turn, at)
  local lacking = math.max(0, math.ceil((need - bucket.credits) / bucket.count))
  local ahead = is_turn and bucket.turn or bucket.line
  return lacking, ahead > at and math.max(ahead - at + math.ceil(need / bucket.count), lacking) or lacking
end

local function admit(wants, mode, at, far_us)
  local is_denied, lacking, place = false, 0, 0
  for _, want in pairs(wants) do
    local us, place_us = wait(want.bucket, want.need, mode == 'turn', at)
    local is_ready = us == 0 and (mode ~= 'line' or want.bucket.line <= at)
    is_denied, lacking, place = is_denied or not is_ready, math.max(lacking, us), math.max(place, is_ready and 0 or place_us)
  end
  for _, want in pairs(wants) do
    local bucket = want.bucket
    bucket.is_touched = true
    if not is_denied then
      bucket.credits = bucket.credits - want.need
    elseif mode ~= 'try' and place <= far_us then
      local us, place_us = wait(bucket, want.need, mode == 'turn', at)
      if us > 0 or bucket.line > at and mode == 'line' then
        bucket.turn = mode == 'turn' and at + place_us or bucket.turn
        bucket.line = math.max(bucket.line, at + place_us)
      end
    end
  end
  return is_denied and 1 or 0, lacking, place
end
