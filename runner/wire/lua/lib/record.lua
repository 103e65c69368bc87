-- record(...): note in the queue's audit stream what a person did to dead letters; keeps about the last 10,000 calls.
local function record(audit, at_ms, verb, by, ids)
  if #ids > 0 then
    local text = table.concat(ids, '\n')
    redis.call('XADD', audit, 'MAXLEN', '~', 10000, '*', 'at', at_ms, 'verb', verb, 'by', by, 'ids', text)
  end
end
