-- fresh(keys, news): write `news` (key, value, …) if none of the keys is there, which for nearly all calls is so; whether it
-- was written. Never when a key stands there twice: the second has to see the first.
local function fresh(keys, news)
  local seen = {}
  for _, key in ipairs(keys) do
    if seen[key] then
      return false
    end
    seen[key] = true
  end
  return redis.call('MSETNX', unpack(news)) == 1
end
