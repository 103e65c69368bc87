-- note(...): append a transition to a payment's audit list. Each entry begins with the hash of the one before and
-- itself, so none can be altered, left out or put in between unseen; and the first part of the operation's id.
local function note(audit, at, op_id, from, to, evidence)
  local last = redis.call('LINDEX', audit, -1)
  local before = last and string.sub(last, 1, 40) or ''
  local entry = string.format('%s %s %s %s %s', text(at), string.sub(op_id, 1, 8), from, to, evidence)
  redis.call('RPUSH', audit, redis.sha1hex(before .. ' ' .. entry) .. ' ' .. entry)
end
