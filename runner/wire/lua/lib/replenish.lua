-- replenish(...): a bucket as it is now: what was stored, and what has come since. All whole numbers below 2^53.
-- A clock that went back brings nothing and moves the line along; then time counts from there, so nobody waits for it to
-- catch up. Another rate: tokens stay (of another period whole ones only), what has come since comes at the slower
-- of the two, and the waits of the line stretch or shrink.
local function replenish(stored, at, count, period, burst)
  local capacity = burst * period
  local bucket = { credits = capacity, count = count, period = period, capacity = capacity, line = 0, turn = 0 }
  if not stored then
    return bucket
  end
  local credits, last, was_count, was_period, line, turn = string.match(stored, '^(%S+) (%S+) (%S+) (%S+) (%S+) (%S+)$')
  credits, last, was_count, was_period = tonumber(credits), tonumber(last), tonumber(was_count), tonumber(was_period)
  local stretch = (was_count * period) / (count * was_period)
  line, turn = math.max(0, tonumber(line) - last), math.max(0, tonumber(turn) - last)
  bucket.line, bucket.turn = last + line, last + turn
  if at < last then
    bucket.line, bucket.turn = at + line, at + turn
  end
  if was_count ~= count or was_period ~= period then
    bucket.line = at + math.ceil(math.max(0, bucket.line - at) * stretch)
    bucket.turn = at + math.ceil(math.max(0, bucket.turn - at) * stretch)
    credits = was_period == period and credits or math.floor(credits / was_period) * period
  end
  credits = math.min(credits, capacity)
  local passed, gain = at - last, count * math.min(1, stretch)
  if passed > 0 then
    credits = passed >= math.ceil((capacity - credits) / gain) and capacity or credits + math.floor(passed * gain)
  end
  bucket.credits = credits
  return bucket
end
