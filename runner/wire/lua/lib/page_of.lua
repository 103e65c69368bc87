-- page_of(...): the ids of a draft as a page (id, due, …). The due time of a laned job is told by its parked score.
local function page_of(queue, draft)
  local page, laned = {}, {}
  for _, id in ipairs(draft.ids) do
    if not draft.dues[id] then
      laned[#laned + 1] = id
    end
  end
  for i, score in ipairs(#laned > 0 and redis.call('ZMSCORE', queue, unpack(laned)) or laned) do
    draft.dues[laned[i]] = due_of(score or '0')
  end
  for i, id in ipairs(draft.ids) do
    page[i * 2 - 1], page[i * 2] = id, draft.dues[id]
  end
  return page
end
