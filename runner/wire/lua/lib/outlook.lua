-- outlook(...): what a claim tells of later: ms until the next job falls due, a lease ends or a gate opens; whether more
-- may be due; whether lanes wait under gates.
local function outlook(found, queue, here, at, lanes, may_claim)
  found[2] = next_due(queue, lanes, at)
  if lanes then
    local is_more = redis.call('EXISTS', here .. 'tenants') == 1 or redis.call('ZCOUNT', here .. 'shut', '-inf', text(at)) > 0
    found[3] = may_claim and is_more and 1 or found[3]
    found[5] = found[5] == 2 and 2 or redis.call('EXISTS', here .. 'shut')
  end
end
