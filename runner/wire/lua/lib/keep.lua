-- keep(...): store a result for so many ms; negative for ever, 0 not at all.
local function keep(key, result, keep_ms)
  keep_ms = result == '' and 0 or tonumber(keep_ms)
  if keep_ms > 0 then
    redis.call('SET', key, result, 'PX', keep_ms)
  elseif keep_ms < 0 then
    redis.call('SET', key, result)
  end
end
