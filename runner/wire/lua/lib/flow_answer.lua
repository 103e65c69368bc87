-- flow_answer(flow): what scripts say of a workflow: its state, its round, 1 if what becomes due is done, and up to 100 words of what is to be done.
local function flow_answer(flow)
  if flow.is ~= 'running' then
    flow_keep(flow)
  end
  local answer = redis.call('SRANDMEMBER', flow.todo, 100)
  table.insert(answer, 1, flow.goes_on and 1 or 0)
  table.insert(answer, 1, flow.round)
  table.insert(answer, 1, flow.is)
  return answer
end
