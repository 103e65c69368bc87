-- resign(ours, ids): these jobs have ended, and stand for their digests no longer. Without unique jobs it is one EXISTS.
local function resign(ours, ids)
  local marks = ours .. 'unique-jobs'
  if #ids == 0 or redis.call('EXISTS', marks) == 0 then
    return
  end
  for i, digest in ipairs(redis.call('HMGET', marks, unpack(ids))) do
    if digest then
      local record = redis.call('GET', ours .. 'unique:' .. digest)
      if record and string.match(record, '^%d+ (.*)$') == ids[i] then
        redis.call('DEL', ours .. 'unique:' .. digest)
      end
      redis.call('HDEL', marks, ids[i])
    end
  end
end
