-- stride(here, tenant): how far one job moves its tenant on; of twice the weight, half as far.
local function stride(here, tenant)
  return 1 / (rule(here, 'weight:' .. tenant) or 1)
end
