-- now(given_ms): the server's time as (ms, us); a test may give ms, workers give 0. Reads TIME once.
local function now(given_ms)
  if given_ms > 0 then
    return given_ms, given_ms * 1000
  end
  local t = redis.call('TIME')
  return tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000), tonumber(t[1]) * 1000000 + tonumber(t[2])
end
