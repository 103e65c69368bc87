-- line_up(key, most): the names of a ZSET that are least far on, in order: all that `most` turns can reach. Turns move them
-- in this line; line_down() writes it.
local function line_up(key, most)
  local page = redis.call('ZRANGE', key, 0, most, 'WITHSCORES')
  local line = { first = 1, last = #page / 2, names = {}, passes = {}, moved = {}, gone = {} }
  for i = 1, #page, 2 do
    line.names[(i + 1) / 2], line.passes[(i + 1) / 2] = page[i], tonumber(page[i + 1])
  end
  line.is_whole = line.last <= most
  return line
end
