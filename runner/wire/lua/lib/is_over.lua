-- is_over(state, till, at): whether a record of an effect has ended, and is remembered no longer.
local function is_over(state, till, at)
  return (state == 'D' or state == 'F') and tonumber(till) <= at
end
