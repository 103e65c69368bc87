-- now_in_us(given_us): the server's time in us; a test may give it, workers give 0. Reads TIME once.
local function now_in_us(given_us)
  if given_us > 0 then
    return given_us
  end
  local t = redis.call('TIME')
  return tonumber(t[1]) * 1000000 + tonumber(t[2])
end
