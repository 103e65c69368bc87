-- page_of(...): the ids of a draft as a page (id, due, …). The due time of a laned job is told by its parked score.
local function page_of(queue, draft)
  local page = {}
  local scores = #draft.ids > 0 and redis.call('ZMSCORE', queue, unpack(draft.ids)) or {}
  for i, id in ipairs(draft.ids) do
    page[i * 2 - 1], page[i * 2] = id, draft.dues[id] or due_of(scores[i] or '0')
  end
  return page
end
