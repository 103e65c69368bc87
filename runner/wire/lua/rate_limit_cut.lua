-- rate_limit_cut: cut the rates of adaptive limits whose other side asked for less.
--
-- KEYS  ours    str   prefix of our keys
-- ARGV  now_us  int   0 = ask the server
-- ARGV  cuts    rest  bucket, limit, 'count period burst' (a count of 0: the caller knows none), 'count period' of the
-- cuts: least rate, thousandths that are kept, us of recovery, us that the call took; repeated, at most 500
--
-- runner:adaptive:<bucket>  STRING PX: count, period us, last us, us of recovery; none means whole
--
-- GIVES one number a cut: tokens a period from now on; 0: the call began before the last cut, or no rate is known
-- FAILS nothing
-- COST  O(1) a cut
-- USES  now_in_us text rate_of eased
local at = now_in_us(now_us)
local answers = {}
for i = 1, cuts_n, 7 do
  local bucket, kept, recover, took = cuts(i), tonumber(cuts(i + 4)), cuts(i + 5), tonumber(cuts(i + 6))
  local count, period = rate_of(ours, bucket, cuts(i + 1), cuts(i + 2))
  local least, least_period = string.match(cuts(i + 3), '^(%d+) (%d+)$')
  local now_count, since = eased(ours, bucket, at, count, period)
  answers[#answers + 1] = 0
  if count > 0 and (not since or at < since or at - took > since) then
    least = math.min(count, math.ceil(tonumber(least) * period / tonumber(least_period)))
    local cut = math.max(least, math.floor(now_count * kept / 1000))
    local state = { text(cut), text(period), text(at), recover }
    redis.call('SET', ours .. 'adaptive:' .. bucket, table.concat(state, ' '), 'PX', math.ceil(tonumber(recover) / 1000) + 1)
    answers[#answers] = cut
  end
end
return answers
