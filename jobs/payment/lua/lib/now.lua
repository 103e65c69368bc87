-- now(given_ms): the server's time in ms; a test may give it, workers give 0. Reads TIME once.
local function now(given_ms)
  if given_ms > 0 then
    return given_ms
  end
  local t = redis.call('TIME')
  return tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
end
