-- stride(here, tenant): how far one job moves its tenant on; of twice the weight, half as far.
local is_weighted
local function stride(here, tenant)
  is_weighted = is_weighted == nil and (rule(here, 'weights') or 0) or is_weighted
  return 1 / (is_weighted == 1 and rule(here, 'weight:' .. tenant) or 1)
end
