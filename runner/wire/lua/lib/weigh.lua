-- weigh(...): note in a letter how many bytes its values have, and add them to the queue's sum.
local function weigh(dead, letter)
  local bytes = 0
  redis.call('HDEL', letter, 'bytes')
  for _, value in ipairs(redis.call('HVALS', letter)) do
    bytes = bytes + #value
  end
  redis.call('HSET', letter, 'bytes', bytes)
  redis.call('HINCRBY', dead .. '-stats', 'bytes', bytes)
end
