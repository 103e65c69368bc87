-- follow(...): enqueue what a task declares for its dead letters (on_dead), in the same queue. The id is derived from
-- this death: the id that died and, after a replay, the number of its replays.
local function follow(queue, arq, ours, id, at_ms, payload)
  local replays = redis.call('HGET', ours .. 'dead:' .. id, 'r')
  local next_id = 'dead:' .. id .. (replays and ':' .. replays or '')
  if redis.call('SET', arq .. 'job:' .. next_id, payload, 'NX') then
    redis.call('ZADD', queue, at_ms, next_id)
  end
end
