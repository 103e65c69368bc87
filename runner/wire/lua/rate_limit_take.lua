-- rate_limit_take: take tokens of buckets, those of an entry all or none.
--
-- KEYS  ours      str   prefix of our keys
-- ARGV  now_us    int   0 = ask the server
-- ARGV  far_us    int   nobody gets a place in line that is farther off than this
-- ARGV  takes     rest  mode, how often, how many buckets, and five a bucket: name, limit, cost, 'count period burst' (a
-- takes: count of 0: the caller knows no rate), 1 if the limit is adaptive; repeated, at most 500 in all
--
-- runner:limits          HASH: bucket or limit -> 'count period burst', set at run time; goes before what the caller says
-- runner:adaptive:<name> of an adaptive limit that was cut: rate_limit_cut
-- runner:bucket:<name>   STRING PX: credits, last us, count, period us, line end us, turn end us; none means full
-- mode  try  granted or not
--       line granted unless others stand in line; else gives a place at the end of it
--       turn the caller's turn in line has come: granted before those who come fresh
--
-- GIVES three numbers a take: 0 granted, 1 denied, 2 a cost is more than the burst, 3 no rate; us after which the tokens
-- GIVES are there if nobody else takes (with 2: the burst), and us until the caller's
-- GIVES place; one farther off than far_us is not kept for the caller
-- FAILS nothing
-- COST  O(1) a bucket; each bucket is read and written once a call
-- USES  now_in_us text rate_of eased replenish admit
local at = now_in_us(now_us)
local buckets, answers = {}, {}

local function open(name, count, period, burst)
  if not buckets[name] then
    buckets[name] = replenish(redis.call('GET', ours .. 'bucket:' .. name), at, count, period, burst)
  end
  return buckets[name]
end

local function wanted(first, size)
  local wants = {}
  for i = first, first + size * 5 - 1, 5 do
    local name, cost = takes(i), tonumber(takes(i + 2))
    local count, period, burst = rate_of(ours, name, takes(i + 1), takes(i + 3))
    if count == 0 then
      return nil, 3, 0
    end
    count = takes(i + 4) == '1' and eased(ours, name, at, count, period) or count
    local want = wants[name] or { bucket = open(name, count, period, burst), need = 0 }
    want.need, wants[name] = want.need + cost * period, want
    if want.need > want.bucket.capacity then
      return nil, 2, burst
    end
  end
  return wants
end

local i = 1
while i < takes_n do
  local mode, size = takes(i), tonumber(takes(i + 2))
  local wants, verdict, retry = wanted(i + 3, size)
  for _ = 1, tonumber(takes(i + 1)) do
    local n, place = #answers, 0
    if wants then
      verdict, retry, place = admit(wants, mode, at, far_us)
    end
    answers[n + 1], answers[n + 2], answers[n + 3] = verdict, retry, place
  end
  i = i + 3 + size * 5
end
for name, bucket in pairs(buckets) do
  if bucket.is_touched then
    local full_us = math.ceil((bucket.capacity - bucket.credits) / bucket.count)
    local left_us = math.max(full_us, bucket.line - at, bucket.turn - at)
    local state = { text(bucket.credits), text(at), text(bucket.count), text(bucket.period), text(bucket.line), text(bucket.turn) }
    redis.call('SET', ours .. 'bucket:' .. name, table.concat(state, ' '), 'PX', text(math.ceil(left_us / 1000) + 1))
  end
end
return answers
