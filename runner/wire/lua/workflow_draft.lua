-- workflow_draft: write some of what a workflow is to be made of; it goes by itself unless the workflow is begun.
--
-- FLAGS none
-- KEYS  draft   hash  calls or groups, of one start
-- ARGV  keep_s  int   how long it waits to be begun
-- ARGV  fields  rest  name, value; repeated, at most 1,000
-- GIVES how many fields are new
-- FAILS nothing (the server refuses it whole with OOM when memory is full)
-- COST  O(1) a field
local new = 0
for i = 1, fields_n, 2 do
  new = new + redis.call('HSET', draft, fields(i), fields(i + 1))
end
redis.call('EXPIRE', draft, keep_s)
return new
