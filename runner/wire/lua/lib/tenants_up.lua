-- tenants_up(here, most): the line of tenants, and the only lane of those that have but one. tenants_down() writes both.
local function tenants_up(here, most)
  local line, lone = line_up(here .. 'tenants', most), {}
  local is_needed = line.last > 1 or line.last == 1 and line.names[1] ~= ''
  for i, lane in ipairs(is_needed and redis.call('HMGET', here .. 'lone', unpack(line.names)) or lone) do
    lone[line.names[i]] = lane or nil
  end
  return line, lone
end

local function tenants_down(here, line)
  line_down(here .. 'tenants', line)
  if #line.gone > 0 then
    redis.call('HDEL', here .. 'lone', unpack(line.gone))
  end
end
