-- keep_held: move the end of what an owner holds: locks, idempotency records in progress.
--
-- KEYS  ours      str   prefix of our keys
-- ARGV  now_ms    int   0 = ask the server
-- ARGV  lease_ms  int   length of the lease from now
-- ARGV  holds     pack  key without the prefix, owner; repeated, at most 500
-- GIVES one number a hold: 1 kept, 0 lost: another has it, or it was given up
-- FAILS nothing
-- COST  O(1) a hold
-- USES  now text opened
local till, answers, keys = text(now(now_ms) + lease_ms), {}, {}
for i = 1, #holds, 2 do
  keys[#keys + 1] = ours .. holds[i]
end
local get, put, write = opened(keys)
for n = 1, #keys do
  local value = get(n)
  local held = value and { cmsgpack.unpack(value) } or {}
  local is_mine = held[1] == holds[n * 2] and held[2] ~= ''
  if is_mine then
    held[2] = till
    put(n, cmsgpack.pack(unpack(held)))
  end
  answers[n] = is_mine and 1 or 0
end
write()
return answers
