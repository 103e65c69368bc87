-- numbers(said, ...): the whole numbers in a text, by the names they are to have; nil for an empty one. Read once a call.
local numbers_read = {}
local function numbers(said, ...)
  local found, i = numbers_read[said], 0
  if not found and said ~= '' then
    found = {}
    for number in string.gmatch(said, '%S+') do
      i = i + 1
      found[select(i, ...)] = tonumber(number)
    end
    numbers_read[said] = found
  end
  return found
end
