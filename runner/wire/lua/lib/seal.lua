-- seal(...): write down what a draft has taken: slots, lanes that are empty, how far turns are.
local function seal(here, draft)
  for key, slots in pairs(draft.slots) do
    redis.call('ZADD', here .. 'holders:' .. key, unpack(slots))
  end
  if #draft.emptied > 0 then
    redis.call('DEL', unpack(draft.emptied))
  end
  redis.call('HSET', here .. 'turn', 'v', string.format('%.17g', virtual_time(here)))
end
