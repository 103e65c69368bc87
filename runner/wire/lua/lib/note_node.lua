-- note_node(...): keep for the workflow of a node how it ended, in the script that ends it; `how` is '' for other jobs,
-- else opaque: how, edges and workflow, a newline, what it returned. A later end takes the place of one before; only a
-- success stays: a job that a slow process made of the node again must not take it back.
local function note_node(nodes_ended, id, at, fence, how)
  local known = how ~= '' and redis.call('HGET', nodes_ended .. '-how', id)
  if how == '' or known and string.find(known, '^%d+ done ') then
    return
  end
  redis.call('ZADD', nodes_ended, text(at), id)
  redis.call('HSET', nodes_ended .. '-how', id, fence .. ' ' .. how)
end
