-- mend(...): of some laned jobs, drawn at random, forget those that are not in the queue any more (a stock worker ended
-- them), and see that those that are ready stand in a lane that is served or waits. What does not is brought about by
-- hand, or by a server that lost its last writes.
local function mend(queue, here, limit)
  local some = redis.call('HRANDFIELD', here .. 'laned', limit, 'WITHVALUES')
  for i = 1, #some, 2 do
    local id, spec = some[i], some[i + 1]
    local score = tonumber(redis.call('ZSCORE', queue, id) or '')
    local _, lane = spec_of(spec)
    if not score then
      unshelve(here, id, spec)
    elseif score >= 1e15 and not redis.call('ZSCORE', here .. 'lane:' .. lane.text, id) then
      redis.call('ZADD', queue, text(score - 1e15), id)
    elseif score >= 1e15 then
      local stands = redis.call('ZSCORE', here .. 'lanes:' .. lane.tenant, lane.text)
      stands = stands or redis.call('HGET', here .. 'lone', lane.tenant) == lane.text
      for _, gate in ipairs(lane.gates) do
        stands = stands or redis.call('ZSCORE', here .. 'waiting:' .. gate.key, lane.text)
      end
      if not stands then
        activate(here, lane.tenant, lane.text, redis.call('ZRANGE', here .. 'lane:' .. lane.text, 0, 0, 'WITHSCORES')[2])
      end
    end
  end
end
