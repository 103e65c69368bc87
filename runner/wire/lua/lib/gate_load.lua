-- gate_load(...): a gate as it is now; one without a key is closed and healthy. gate_report.lua says what the fields mean.
-- A clock that went back takes all times along, and begins a new window: nobody waits for it to catch up.
local function gate_load(here, key, at)
  local found = redis.call('HMGET', here .. 'gate:' .. key, 'u', 's', 'why', 'm')
  local gate = { key = key, u = tonumber(found[1]) or 0, s = found[2] or '', why = found[3] or '', wants_ms = 0 }
  local names, i = { 'l', 'c', 'o', 'k', 't', 'w', 'a', 'b', 'pa', 'pb', 'f', 'bt', 'bl', 'bn', 'ln' }, 0
  for _, name in ipairs(names) do
    gate[name] = 0
  end
  for number in string.gmatch(found[4] or '', '%S+') do
    i = i + 1
    gate[names[i]] = tonumber(number)
  end
  gate.was, gate.was_u, gate.was_l = gate.s, gate.u, gate.l
  if at < gate.f then
    for _, name in ipairs({ 'u', 't', 'bl', 'bn', 'ln' }) do
      gate[name] = gate[name] > 0 and math.max(1, gate[name] - gate.f + at) or 0
    end
    gate.w = -1
  end
  gate.f = at
  return gate
end
