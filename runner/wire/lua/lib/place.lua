-- place(...): make the job of a tick, or keep or skip it while earlier ones have not ended; gives the word for it. One
-- that was kept before comes first, and this one is kept in its place.
local function place(queue, abort, arq, ours, key, job, overlap, most)
  local alive = instances(key, arq)
  if #alive > 0 and overlap ~= 'allow' or (most > 0 and #alive >= most) then
    if overlap == 'buffer_one' and redis.call('HEXISTS', key, 'next_id') == 0 then
      redis.call('HSET', key, 'next_id', job.id, 'next_payload', job.payload)
      return 'BUFFERED'
    end
    redis.call('HINCRBY', key, 'skipped', 1)
    return 'SKIPPED'
  end
  local kept = redis.call('HMGET', key, 'next_id', 'next_payload')
  if kept[1] then
    redis.call('HSET', key, 'next_id', job.id, 'next_payload', job.payload)
    job.id, job.payload = kept[1], kept[2]
  end
  local word = spawn(queue, abort, arq, ours, job.id, job.due, job.payload)
  local is_listed = false
  for _, id in ipairs(alive) do
    is_listed = is_listed or id == job.id
  end
  if not is_listed then -- it is, when the clock went back and its time comes again
    alive[#alive + 1] = job.id
  end
  redis.call('HSET', key, 'jobs', table.concat(alive, '\n'), 'late', job.late)
  redis.call('HINCRBY', key, 'made', 1)
  return kept[1] and 'BUFFERED' or word
end
