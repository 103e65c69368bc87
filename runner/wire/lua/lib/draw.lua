-- draw(...): choose the next jobs of a queue that has lanes, at most `most`: a page (id, due, …). Whose turn it is: the
-- tenant that is least far on; of its lanes the one whose head ranks first. `plain` (id, due, …) are due jobs without a
-- lane: the lane 'plain' of tenant ''. Gives also the draft: who is of a lane, and who of them is to be skipped; notes in
-- `found` if a cancellation was asked for.
local function draw(queue, here, plain, most, at, abort, found)
  local draft = { ids = {}, dues = {}, specs = plain.specs, skipped = {}, slots = {}, emptied = {}, walked = 0 }
  draft.turns = most + 100
  look_again(here, at)
  if plain[1] then
    activate(here, '', 'plain', plain[2])
  else
    deactivate(here, '', 'plain')
  end
  local line, lone = tenants_up(here, most)
  while #draft.ids < most and draft.turns > 0 and line.first <= line.last do
    local tenant, pass, after = line.names[line.first], line.passes[line.first], line.passes[line.first + 1]
    line.first, draft.turns = line.first + 1, draft.turns - 1
    local step, room = stride(here, tenant), most - #draft.ids
    room = after and math.min(room, math.floor((after - pass) / step) + 1) or room
    local served, is_gone = ride(here, tenant, lone[tenant], plain, room, at, abort, draft)
    virtual_time(here, served > 0 and pass + (served - 1) * step)
    if is_gone then
      line.gone[#line.gone + 1] = tenant
    else
      line_back(line, tenant, pass + served * step)
    end
    if not line.is_whole and line.first >= line.last then
      tenants_down(here, line)
      line, lone = tenants_up(here, most)
    end
  end
  tenants_down(here, line)
  seal(here, draft)
  found[5] = draft.is_asked and 2 or found[5]
  return page_of(queue, draft), draft
end
