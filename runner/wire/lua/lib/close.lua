-- close(...): an attempt ended its job: store the result, and note in `batch` what goes. With `lease_ms` the lease
-- stays for so long as arq's own, so that stock peers do not run a cron tick again.
local function close(batch, arq, ours, id, result, keep_ms, lease_ms)
  local gone, lease = batch.gone, arq .. 'in-progress:' .. id
  local n = #gone
  keep(arq .. 'result:' .. id, result, keep_ms)
  batch.ended[#batch.ended + 1] = id
  gone[n + 1], gone[n + 2], gone[n + 3] = arq .. 'job:' .. id, arq .. 'retry:' .. id, ours .. 'job:' .. id
  if lease_ms == '' then
    gone[n + 4] = lease
  else
    redis.call('SET', lease, '1', 'PX', lease_ms)
  end
end
