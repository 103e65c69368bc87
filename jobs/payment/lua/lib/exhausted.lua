-- exhausted(declines, at, caps): ms until a card may be charged again, -1 for never; nil when it may be now. `declines` has
-- its declined attempts, a hard one marked by a leading '!'; `caps` is "count ms count ms …": so many in so many ms.
local function exhausted(declines, at, caps)
  local flat, last = redis.call('ZRANGE', declines, 0, -1, 'WITHSCORES'), nil
  for i = 1, #flat, 2 do
    if string.sub(flat[i], 1, 1) == '!' then
      return -1
    end
  end
  for count, window in string.gmatch(caps, '(%d+) (%d+)') do
    local nth = flat[#flat - 2 * tonumber(count) + 2]
    local free_at = nth and tonumber(nth) + tonumber(window) or 0
    if free_at > at then
      last = math.max(last or 0, free_at - at)
    end
  end
  return last
end
