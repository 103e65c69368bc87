-- walk(...): a turn of the jobs without a lane; they stand in a page (id, due, …) of which the first `draft.walked` values
-- have had their turn. Gives how many, and the due time of the next.
local function walk(plain, room, till, draft)
  local first, last = draft.walked, draft.walked
  local ids, dues, most = draft.ids, draft.dues, tonumber(till)
  while (last - first) / 2 < room and plain[last + 1] and (not most or tonumber(plain[last + 2]) <= most) do
    ids[#ids + 1], dues[plain[last + 1]] = plain[last + 1], plain[last + 2]
    last = last + 2
  end
  draft.walked = last
  return (last - first) / 2, plain[last + 2]
end
