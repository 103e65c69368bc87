-- own(...): count a job against its tenant's bound until it has ended; nothing where none is asked for.
local function own(here, most, tenant, id)
  if most > 0 and tenant ~= '' then
    redis.call('ZADD', here .. 'owned', 0, tenant .. '\31' .. id)
  end
end
