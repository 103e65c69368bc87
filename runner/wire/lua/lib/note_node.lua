-- note_node(...): keep for the workflow of a node how it ended, in the script that ends it; `how` is '' for other jobs,
-- else opaque: how, edges and workflow, a newline, what it returned. A later end of a node takes the place of one before.
local function note_node(nodes_ended, id, at, fence, how)
  if how ~= '' then
    redis.call('ZADD', nodes_ended, text(at), id)
    redis.call('HSET', nodes_ended .. '-how', id, fence .. ' ' .. how)
  end
end
