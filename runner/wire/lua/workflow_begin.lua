-- workflow_begin: make a workflow of a draft, unless there is one of that id.
--
-- FLAGS none
-- KEYS  draft_plan   hash  calls, written in advance
-- KEYS  draft_units  hash  groups, likewise; not there when there are none
-- ARGV  own          str   prefix of the workflow's keys
-- ARGV  id           str   of the workflow
-- ARGV  now_ms       int   0 = ask the server
-- ARGV  start        str   of this start; the same again is the same
-- ARGV  edge         str   what is due first
-- ARGV  parts        int   fields that both drafts have together, when nothing of them is lost
-- ARGV  fields       rest  name and value of the state
-- GIVES state, round, 1 if what becomes due is done, then up to 100 words of what is to be done; nothing when there is no
-- GIVES such workflow and the draft is not whole: it was not begun in time, or the server lost writes
-- FAILS nothing
-- COST  O(1)
-- USES  now text flow_of flow_enter flow_conclude flow_follow flow_keep flow_answer
local at = now(now_ms)
local flow = flow_of(own, id, at)
if not flow.is then
  if redis.call('HLEN', draft_plan) + redis.call('HLEN', draft_units) < parts then
    return {}
  end
  for from, to in pairs({ [draft_plan] = flow.plan, [draft_units] = flow.units }) do
    if redis.call('EXISTS', from) == 1 then
      redis.call('RENAME', from, to)
      redis.call('PERSIST', to)
    end
  end
  local state = { 's', 'running', 'round', '1', 'started', flow.at, 'start', start }
  for i = 1, fields_n do
    state[#state + 1] = fields(i)
  end
  redis.call('HSET', flow.state, unpack(state))
  redis.call('SET', flow.job, '1')
  redis.call('SADD', flow.todo, '!list')
  flow = flow_of(own, id, at)
  flow_follow(flow, edge, '', '[]')
end
return flow_answer(flow)
