-- grant(...): lease job i of a lot; gives the number of its attempt. What a command can take for many jobs at once is
-- gathered in the lot for enter(). The counter is set, not raised: rubbish in it counts as nothing.
local function grant(lot, i, token, lease_ms, lease_end, entry)
  local id, moves, entries, counts = lot.ids[i], lot.moves, lot.entries, lot.counts
  local attempt, n = (tonumber(lot.attempts[i]) or 0) + 1, #moves
  redis.call('SET', lot.leases[i], token, 'PX', lease_ms)
  redis.call('PERSIST', lot.jobs[i])
  moves[n + 1], moves[n + 2] = lease_end, id
  entries[n + 1], entries[n + 2] = id, entry
  counts[n + 1], counts[n + 2] = lot.counters[i], attempt
  return attempt
end
