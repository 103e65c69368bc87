-- line_up(here, most): the tenants that are least far on, in order, as draw() needs them for `most` jobs. Turns move them
-- in this line; line_down() writes it.
local function line_up(here, most)
  local page = redis.call('ZRANGE', here .. 'tenants', 0, most, 'WITHSCORES')
  local line = { first = 1, last = #page / 2, tenants = {}, passes = {}, moved = {}, gone = {} }
  for i = 1, #page, 2 do
    line.tenants[(i + 1) / 2], line.passes[(i + 1) / 2] = page[i], tonumber(page[i + 1])
  end
  line.is_whole = line.last <= most
  return line
end
