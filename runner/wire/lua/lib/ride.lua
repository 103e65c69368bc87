-- ride(...): a turn of a tenant: of its first lane up to `room` jobs that rank before the head of its next one. Gives how
-- many, and whether none of its lanes is served any more. What that empties is noted in the draft: nobody looks there again.
local function ride(here, tenant, plain, room, at, abort, draft)
  local lanes = here .. 'lanes:' .. tenant
  local name, _, other, till = unpack(redis.call('ZRANGE', lanes, 0, 1, 'WITHSCORES'))
  if not name then
    return 0, true
  end
  local lane, served, head, is_stopped = here .. 'lane:' .. name, 0, nil, false
  if tenant == '' and name == 'plain' then
    served, head = walk(plain, room, till, draft)
  else
    local jobs = redis.call('ZRANGE', lane, '-inf', till or '+inf', 'BYSCORE', 'LIMIT', 0, room + 1, 'WITHSCORES')
    local ids
    ids, is_stopped = serve(here, lane_of(name), jobs, math.min(room, #jobs / 2), at, abort, draft)
    served, head = #ids, jobs[#ids * 2 + 2]
    if till and not head then
      head = redis.call('ZRANGE', lane, served, served, 'WITHSCORES')[2]
    end
    if not head then
      draft.emptied[#draft.emptied + 1] = lane
    elseif served > 0 then
      redis.call('ZREM', lane, unpack(ids))
    end
  end
  if head and not is_stopped then
    redis.call('ZADD', lanes, head, name)
  elseif other then
    redis.call('ZREM', lanes, name)
  else
    draft.emptied[#draft.emptied + 1] = lanes
  end
  return served, not other and (is_stopped or not head)
end
