-- precedes(a, b): whether a stands before b in the order of bytes, as in a ZSET; Lua's < follows the server's locale.
local function precedes(a, b)
  for i = 1, math.min(#a, #b) do
    local x, y = string.byte(a, i), string.byte(b, i)
    if x ~= y then
      return x < y
    end
  end
  return #a < #b
end
