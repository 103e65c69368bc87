-- ride(...): a turn of a tenant: up to `room` jobs of its lanes, the lane whose head ranks first before others; `lone` is
-- its only lane, if it has but one. Gives how many, and whether none of its lanes is served any more.
local function ride(here, tenant, lone, plain, room, at, abort, draft)
  if lone then
    return ride_alone(here, lone, room, at, abort, draft)
  end
  local key, served = here .. 'lanes:' .. tenant, 0
  local line = line_up(key, room)
  if line.last == 1 and (tenant ~= '' or line.names[1] ~= 'plain') then
    local alone, is_gone = ride_alone(here, line.names[1], room, at, abort, draft)
    draft.emptied[#draft.emptied + 1] = is_gone and key or nil
    return alone, is_gone
  end
  while served < room and draft.turns > 0 and line.first < line.last + (line.is_whole and 1 or 0) do
    local name, till, count, head, is_stopped = line.names[line.first], line.passes[line.first + 1], 0, nil, false
    line.first, draft.turns = line.first + 1, draft.turns - 1
    if tenant == '' and name == 'plain' then
      count, head = walk(plain, room - served, till, draft)
    else
      count, head, is_stopped = board(here, name, room - served, till, at, abort, draft)
    end
    served = served + count
    if head and not is_stopped then
      line_back(line, name, tonumber(head))
    else
      line.gone[#line.gone + 1] = name
    end
  end
  line_down(key, line)
  return served, line.is_whole and line.first > line.last
end
