-- recall(...): give back what this token holds; gives it as a page (id, due, id, due, …).
local function recall(queue, running, arq, ours, token, due)
  local page, all = {}, redis.call('HGETALL', running)
  for i = 1, #all, 2 do
    local id, entry = all[i], all[i + 1]
    if holds(entry, token) and settle(queue, running, arq, { id }, { token })[1] == 1 then
      local _, fence = owner(entry)
      give_back(queue, running, arq, ours, id, due, text(fence))
      page[#page + 1], page[#page + 2] = id, due
    end
  end
  return page
end
