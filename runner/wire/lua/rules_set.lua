-- rules_set: set rules of one queue, or take them back; gates that keep lanes waiting are looked at again.
--
-- KEYS  queue   zset  job id -> due at (ms); touched, so that workers that sleep are woken
-- ARGV  here    str   prefix of the queue's lanes and gates
-- ARGV  now_ms  int   0 = ask the server
-- ARGV  rules   rest  name, value ('' takes it back); repeated, at most 500
--
-- limit:<limit>  jobs at once, as tasks or settings say; set:<limit or gate> set at run time, goes before it
-- weight:<tenant>  of its turns (and weights: 1, some are set); step  head start of a step of priority (ms)
-- breaker:<breaker or gate>  numbers of its policy and budget by their names, as 'open 60000 bcap 0' (and breakers: 1)
--
-- GIVES 1 if more gates are to be looked at than one call takes: call again; else 0
-- FAILS nothing
-- COST  O(log n) for each gate under which lanes wait, at most 500
-- USES  now text open_gate
local at = text((now(now_ms)))
for i = 1, rules_n, 2 do
  if rules(i + 1) == '' then
    redis.call('HDEL', here .. 'rules', rules(i))
  else
    redis.call('HSET', here .. 'rules', rules(i), rules(i + 1))
    local kind = string.match(rules(i), '^(%a+):')
    if kind == 'weight' or kind == 'breaker' then
      redis.call('HSET', here .. 'rules', kind .. 's', 1)
    end
  end
end
local waiting = redis.call('ZRANGE', here .. 'shut', '(' .. at, '+inf', 'BYSCORE', 'LIMIT', 0, 500)
for _, key in ipairs(waiting) do
  open_gate(queue, here, key)
end
return #waiting == 500 and 1 or 0
