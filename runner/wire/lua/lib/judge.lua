-- judge(...): may job i of a lot run, and how? Gives verdict, fence, deaths, snoozes, last delay, and flags: 1 it waited for
-- its turn in a line; 2 it has durable records, 4 and has begun before.
-- An entry in `held` means that its last holder vanished without a finish: one more death, unless it comes back and says
-- so (forgive). From the second death on a job runs alone in its worker; a death while alone convicts it, once it was spared.
local function judge(lot, i, ours, at_us, may_run_alone)
  local held, history, verdict = lot.held[i], ours .. 'job:' .. lot.ids[i], 'run'
  if not held and not lot.has_history then
    return verdict, text(at_us), 0, 0, 0, 0
  end
  local known = redis.call('HMGET', history, 'd', 'f', 's', 'l', 't', 'b', 'v')
  local deaths, fence = tonumber(known[1] or 0), math.max(at_us, (tonumber(known[2]) or 0) + 1)
  local snoozes, last_ms, flags = known[3] or 0, known[4] or 0, known[5] == '1' and 1 or 0
  if known[6] then
    flags = flags + ((held or known[2]) and 4 or 2)
  end
  if held then
    local last_token, last_fence, _, was_alone, was_spared = owner(held)
    if was_alone and not was_spared then
      return 'doubt', text(fence), deaths, snoozes, last_ms, flags
    end
    deaths, fence = deaths + 1, math.max(fence, (last_fence or 0) + 1)
    redis.call('HSET', history, 'd', deaths, 'f', text(fence), 'v', (known[7] or '') .. (last_token or '') .. ' ')
    if was_alone then
      return 'poison', text(fence), deaths, snoozes, last_ms, flags
    end
  end
  if deaths >= 2 then
    verdict = may_run_alone and 'alone' or 'wait'
  end
  return verdict, text(fence), deaths, snoozes, last_ms, flags
end
