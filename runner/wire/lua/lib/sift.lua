-- sift(...): put jobs into their lanes that fell due since the last claim, however many plain ones stand before them; at
-- most 200 a call, and where all of those are due at one moment the rest is left to their turn. Nothing but a note where
-- the claim's own page holds all that is due.
local function sift(queue, here, running, at, is_all, is_first)
  local till = at
  if not is_first then
    return
  end
  if not is_all then
    local from = math.min(at, tonumber(redis.call('HGET', here .. 'turn', 's') or 0))
    local page = redis.call('ZRANGE', queue, '(' .. text(from), text(at), 'BYSCORE', 'LIMIT', 0, 200, 'WITHSCORES')
    if #page == 400 then
      till = tonumber(page[400]) - (page[2] == page[400] and 0 or 1)
    end
    sort_out(queue, here, running, page, at)
  end
  redis.call('HSET', here .. 'turn', 's', text(till))
end
