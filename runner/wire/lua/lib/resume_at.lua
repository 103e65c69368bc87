-- resume_at(...): the rank at which a reading of a ZSET goes on after (score, id), which may be gone by now. `order` is
-- 'REV' or ''. Among members of the same score a binary search finds the first that comes after the id.
local function resume_at(set, order, score, id)
  local backwards = order == 'REV'
  local low = redis.call('ZCOUNT', set, backwards and '(' .. score or '-inf', backwards and '+inf' or '(' .. score)
  local high = low + redis.call('ZCOUNT', set, score, score)
  while low < high do
    local middle = math.floor((low + high) / 2)
    local found = redis.call(backwards and 'ZREVRANGE' or 'ZRANGE', set, middle, middle)[1]
    local is_after = found ~= id and precedes(found, id) == backwards
    low, high = is_after and low or middle + 1, is_after and middle or high
  end
  return low
end
