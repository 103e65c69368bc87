-- owner(entry): the parts of a running entry, "token fence worker alone"; nothing for an entry that is not
-- there. `alone` is 1, or 2 once its lease ran out and was spared.
local function owner(entry)
  if not entry then
    return nil
  end
  local token, fence, worker, alone = string.match(entry, '^(%S+) (%S+) (.*) (%d)$')
  return token, tonumber(fence), worker, alone ~= '0', alone == '2'
end
