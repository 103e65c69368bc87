-- instances(key, arq): ids of a schedule's earlier jobs that have not ended; forgets those that have.
local function instances(key, arq)
  local alive = {}
  for id in string.gmatch(redis.call('HGET', key, 'jobs') or '', '[^\n]+') do
    if redis.call('EXISTS', arq .. 'job:' .. id) == 1 then
      alive[#alive + 1] = id
    end
  end
  return alive
end
