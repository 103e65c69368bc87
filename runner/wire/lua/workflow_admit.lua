-- workflow_admit: say of nodes whose jobs were claimed whether they are to run.
--
-- KEYS  state  hash  of the workflow
-- ARGV  own    str   prefix of the workflow's keys
-- ARGV  id     str   of the workflow
-- ARGV  nodes  rest  numbers of nodes, at most 500
-- GIVES one number a node: 1 it runs, 2 the workflow has ended, 0 the node has succeeded, or there is no such workflow
-- FAILS nothing
-- COST  O(1) a node
-- USES  text flow_of
local is_there, flow, given = redis.call('EXISTS', state) == 1, flow_of(own, id, 0), {}
for i = 1, nodes_n do
  local node = nodes(i)
  if not is_there or redis.call('HEXISTS', flow.results, node) + redis.call('HEXISTS', flow.aside, 'n' .. node) > 0 then
    given[i] = 0
  elseif flow.goes_on or string.sub(node, 1, 1) == 'e' or redis.call('SISMEMBER', flow.dead, node) == 1 then
    given[i] = 1
  else
    given[i] = 2
  end
end
return given
