-- incumbent(...): which job stands for a digest, and what that means for another: DUPLICATE, REPLACED or REJECTED, the
-- job's id, and since when; nothing if another may come. A payload that is there already is of this very call, sent before.
-- A job that was ever claimed may have made its id known to receivers, so it is not given another payload.
local function incumbent(running, arq, ours, payload, digest, lasts, on_conflict)
  local since, id = string.match(redis.call('GET', ours .. 'unique:' .. digest) or '', '^(%d+) (.*)$')
  local stored = id and redis.call('GET', arq .. 'job:' .. id)
  if not id or not stored and lasts ~= 'period' then
    return nil
  elseif stored == payload then
    return 'REPLACED', id
  end
  local has_begun = not stored
    or redis.call('HEXISTS', running, id) == 1
    or redis.call('EXISTS', arq .. 'in-progress:' .. id) == 1
    or (tonumber(redis.call('GET', arq .. 'retry:' .. id)) or 0) > 0
  local was_claimed = has_begun or redis.call('HEXISTS', ours .. 'job:' .. id, 'f') == 1
  if on_conflict == 'replace' and not was_claimed then
    return 'REPLACED', id, tonumber(since)
  elseif lasts == 'started' and has_begun or lasts ~= 'period' and on_conflict == 'replace' then
    return nil
  end
  return on_conflict == 'reject' and 'REJECTED' or 'DUPLICATE', id
end
