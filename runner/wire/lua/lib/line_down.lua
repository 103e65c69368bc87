-- line_down(...): write what turns have changed in a line of tenants.
local function line_down(here, line)
  local moves = {}
  for tenant, pass in pairs(line.moved) do
    moves[#moves + 1], moves[#moves + 2] = string.format('%.17g', pass), tenant
  end
  if #moves > 0 then
    redis.call('ZADD', here .. 'tenants', 'XX', unpack(moves))
  end
  if #line.gone > 0 then
    redis.call('ZREM', here .. 'tenants', unpack(line.gone))
  end
end
