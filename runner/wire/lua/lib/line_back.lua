-- line_back(...): put a tenant that had its turn back into the line. Behind the last of a line that is not whole stand
-- tenants it does not know: there it is only noted.
local function line_back(line, tenant, pass)
  line.moved[tenant] = pass
  local i = line.last
  if not line.is_whole and (i < line.first or pass > line.passes[i]) then
    return
  end
  while i >= line.first and line.passes[i] > pass do
    line.tenants[i + 1], line.passes[i + 1], i = line.tenants[i], line.passes[i], i - 1
  end
  line.tenants[i + 1], line.passes[i + 1], line.last = tenant, pass, line.last + 1
end
