-- read: give a payment with its operations and, if asked for, its audit list.
--
-- KEYS  pay     hash  the payment
-- KEYS  audit   list  transitions, hash-chained
-- ARGV  prefix  str   of the keys of operations
-- ARGV  trail   int   1: with the audit list
-- GIVES the payment, its operations in the order they were begun (each name, value, …), the audit list
-- FAILS nothing
-- COST  O(operations)
local payment, operations = redis.call('HGETALL', pay), {}
local places = {}
for i = 1, #payment, 2 do
  local place = string.match(payment[i], '^o(%d+)$')
  if place then
    places[#places + 1] = { tonumber(place), payment[i + 1] }
  end
end
table.sort(places, function(a, b) return a[1] < b[1] end)
for _, place in ipairs(places) do
  local operation = redis.call('HGETALL', prefix .. place[2])
  operation[#operation + 1], operation[#operation + 2] = 'op_id', place[2]
  operations[#operations + 1] = operation
end
return { payment, operations, trail == 1 and redis.call('LRANGE', audit, 0, -1) or {} }
