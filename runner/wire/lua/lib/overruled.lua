-- overruled(...): the numbers of a breaker, as policy and budget: those set at run time for the gate go before those for
-- the breaker, and both before what the task says. A retry budget of nothing is none. People name no breaker.
local policy_names = { 'after', 'volume', 'percent', 'window', 'open', 'cap', 'probes', 'close', 'step', 'top', 'pause' }
local any_rules
local function overruled(here, key, name, policy, budget)
  policy, budget = numbers(policy, unpack(policy_names)), numbers(budget, 'bcap', 'share', 'floor')
  any_rules = any_rules == nil and redis.call('HEXISTS', here .. 'rules', 'breakers') == 1 or any_rules
  if any_rules and name ~= '' then
    local all = {}
    for _, known in ipairs({ policy or {}, budget or {} }) do
      for word, number in pairs(known) do
        all[word] = number
      end
    end
    for _, said in ipairs({ 'breaker:' .. name, 'breaker:' .. key }) do
      for word, number in string.gmatch(redis.call('HGET', here .. 'rules', said) or '', '(%a+) (%d+)') do
        all[word] = tonumber(number)
      end
    end
    policy, budget = all, (all.bcap or 0) > 0 and all or nil
  end
  return policy, budget
end
