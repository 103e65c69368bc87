-- waiting(...): a page (id, due, id, due, …) of the suspects that have waited longest; drops those that are gone.
local function waiting(suspects, queue)
  local page = {}
  for _, id in ipairs(redis.call('ZRANGE', suspects, 0, 9)) do
    local due = redis.call('ZSCORE', queue, id)
    if due then
      page[#page + 1], page[#page + 2] = id, due
    else
      redis.call('ZREM', suspects, id)
    end
  end
  return page
end
