-- draw(...): choose the next jobs of a queue that has lanes, at most `most`: a page (id, due, …). Whose turn it is: the
-- tenant that is least far on; of its lanes the one whose head ranks first. `plain` (id, due, …) are due jobs without a
-- lane: the lane 'plain' of tenant ''. Gives also who of them is to be skipped; notes in `found` if a cancellation was asked for.
local function draw(queue, here, plain, most, at, abort, found)
  local draft = { ids = {}, dues = {}, skipped = {}, walked = 0 }
  look_again(here, at)
  if plain[1] then
    activate(here, '', 'plain', plain[2])
  else
    deactivate(here, '', 'plain')
  end
  for _ = 1, most + 100 do
    local first = #draft.ids < most and redis.call('ZRANGE', here .. 'tenants', 0, 1, 'WITHSCORES') or {}
    if not first[1] then
      break
    end
    local tenant, pass, step, room = first[1], tonumber(first[2]), stride(here, first[1]), most - #draft.ids
    room = first[4] and math.min(room, math.floor((tonumber(first[4]) - pass) / step) + 1) or room
    local heads = redis.call('ZRANGE', here .. 'lanes:' .. tenant, 0, 1, 'WITHSCORES')
    local served = 0
    if not heads[1] then
      redis.call('ZREM', here .. 'tenants', tenant)
    elseif tenant == '' and heads[1] == 'plain' then
      served = walk(here, plain, room, heads[4], draft)
    else
      served = ride(here, heads[1], room, heads[4], at, abort, draft)
    end
    if served > 0 then
      virtual_time(here, pass + (served - 1) * step)
      redis.call('ZADD', here .. 'tenants', 'XX', string.format('%.17g', pass + served * step), tenant)
    end
  end
  redis.call('HSET', here .. 'turn', 'v', string.format('%.17g', virtual_time(here)))
  found[5] = draft.is_asked and 2 or found[5]
  return page_of(queue, draft), draft.skipped
end
