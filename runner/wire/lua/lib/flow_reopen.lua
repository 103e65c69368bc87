-- flow_reopen(flow): a workflow that failed or was cancelled goes on: what was held is to be done, and what failed is to
-- be done again.
local function flow_reopen(flow)
  flow.is, flow.goes_on, flow.round = 'running', true, text(tonumber(flow.round) + 1)
  flow.reopened_ms = tonumber(flow.at)
  redis.call('HSET', flow.state, 's', flow.is, 'round', flow.round, 'reopened', flow.at)
  redis.call('HDEL', flow.state, 'ended', 'node')
  redis.call('DEL', flow.result)
  redis.call('SET', flow.job, '1')
  for _, word in ipairs(redis.call('SMEMBERS', flow.held)) do
    redis.call('SADD', flow.todo, word)
  end
  redis.call('DEL', flow.held)
  redis.call('SADD', flow.todo, '!again:0', '!list')
  flow_keep(flow)
end
