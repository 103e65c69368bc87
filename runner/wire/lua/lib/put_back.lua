-- put_back(...): what was drawn and is not leased keeps its slots and falls due again: what stood behind a suspect that
-- runs alone (from job `first` on) at once, what somebody else holds when that could be over.
local function put_back(queue, here, lot, first, lease_end)
  if not here then
    return
  end
  for i = first, #lot.ids do
    if lot.specs[i] then
      redis.call('ZADD', queue, 'XX', lot.dues[i], lot.ids[i])
    end
  end
  for _, id in ipairs(lot.passed) do
    if redis.call('HEXISTS', here .. 'laned', id) == 1 then
      redis.call('ZADD', queue, 'XX', lease_end, id)
    end
  end
end
