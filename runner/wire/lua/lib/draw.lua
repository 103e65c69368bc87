-- draw(...): choose the next jobs of a queue that has lanes, at most `most`: a page (id, due, …). Whose turn it is: the
-- tenant that is least far on; of its lanes the one whose head ranks first. `plain` (id, due, …) are due jobs without a
-- lane: the lane 'plain' of tenant ''. Gives also who of them is to be skipped; notes in `found` if a cancellation was asked for.
local function draw(queue, here, plain, most, at, abort, found)
  local draft = { ids = {}, dues = {}, skipped = {}, emptied = {}, walked = 0 }
  look_again(here, at)
  if plain[1] then
    activate(here, '', 'plain', plain[2])
  else
    deactivate(here, '', 'plain')
  end
  local line = line_up(here, most)
  for _ = 1, #draft.ids < most and most + 100 or 0 do
    local tenant, pass, after = line.tenants[line.first], line.passes[line.first], line.passes[line.first + 1]
    if not tenant or #draft.ids == most then
      break
    end
    line.first = line.first + 1
    local step, room = stride(here, tenant), most - #draft.ids
    room = after and math.min(room, math.floor((after - pass) / step) + 1) or room
    local served, is_gone = ride(here, tenant, plain, room, at, abort, draft)
    virtual_time(here, served > 0 and pass + (served - 1) * step)
    if is_gone then
      line.gone[#line.gone + 1] = tenant
    else
      line_back(line, tenant, pass + served * step)
    end
    if not line.is_whole and line.first >= line.last then
      line_down(here, line)
      line = line_up(here, most)
    end
  end
  line_down(here, line)
  if #draft.emptied > 0 then
    redis.call('DEL', unpack(draft.emptied))
  end
  redis.call('HSET', here .. 'turn', 'v', string.format('%.17g', virtual_time(here)))
  found[5] = draft.is_asked and 2 or found[5]
  return page_of(queue, draft), draft.skipped
end
