-- numbers(said, ...): read whole numbers out of a text, by the names they are to have; nil for an empty one.
local function numbers(said, ...)
  local found, i = {}, 0
  for number in string.gmatch(said, '%S+') do
    i = i + 1
    found[select(i, ...)] = tonumber(number)
  end
  return i > 0 and found or nil
end
