-- sift(...): put jobs into their lanes that fell due since the last claim, however many plain ones stand before them; at
-- most 200 a call, and where all of those are due at one moment the rest is left to their turn. Nothing without lanes.
local function sift(queue, here, running, at)
  if not here then
    return
  end
  local from = math.min(at, tonumber(redis.call('HGET', here .. 'turn', 's') or 0))
  local page = redis.call('ZRANGE', queue, '(' .. text(from), text(at), 'BYSCORE', 'LIMIT', 0, 200, 'WITHSCORES')
  local till = at
  if #page == 400 then
    till = tonumber(page[400]) - (page[2] == page[400] and 0 or 1)
  end
  sort_out(queue, here, running, page, at)
  redis.call('HSET', here .. 'turn', 's', text(till))
end
