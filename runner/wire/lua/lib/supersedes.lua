-- supersedes(new, old): whether `new` is a later attempt of the job that `old` is of; then `old` has lost its lease.
-- Both are owners, "token fence id". A later attempt has the higher fence.
local function supersedes(new, old)
  local fence, id = string.match(new, '^%S+ (%d+) (.*)$')
  local old_fence, old_id = string.match(old, '^%S+ (%d+) (.*)$')
  return id ~= nil and id == old_id and tonumber(fence) > tonumber(old_fence)
end
