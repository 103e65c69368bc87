-- rise(fence, at_us): the fence of a lock's next holder: higher than any before, also when the clock went back.
local function rise(fence, at_us)
  return text(math.max(at_us, tonumber(fence) + 1))
end
