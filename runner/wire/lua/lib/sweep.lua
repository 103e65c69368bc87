-- sweep(ours, lots, at): forget ended records whose time is over: of two lots at most, and each end adds one.
local function sweep(ours, lots, at)
  for _, lot in ipairs(redis.call('ZRANGE', lots, '-inf', text(at), 'BYSCORE', 'LIMIT', 0, 2)) do
    local keys, gone = {}, {}
    for digest in string.gmatch(lot, '%S+') do
      keys[#keys + 1] = ours .. 'once:' .. digest
    end
    for n, value in ipairs(redis.call('MGET', unpack(keys))) do
      local _, till, state = cmsgpack.unpack(value or '')
      if is_over(state, till, at) then
        gone[#gone + 1] = keys[n]
      end
    end
    if gone[1] then
      redis.call('DEL', unpack(gone))
    end
    redis.call('ZREM', lots, lot)
  end
end
