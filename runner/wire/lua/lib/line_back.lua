-- line_back(...): put one that had its turn back into the line. Behind the last of a line that is not whole stand others
-- it does not know: there it is only noted.
local function line_back(line, name, pass)
  line.moved[name] = pass
  local i = line.last
  if not line.is_whole and (i < line.first or pass > line.passes[i]) then
    return
  end
  while i >= line.first and line.passes[i] > pass do
    line.names[i + 1], line.passes[i + 1], i = line.names[i], line.passes[i], i - 1
  end
  line.names[i + 1], line.passes[i + 1], line.last = name, pass, line.last + 1
end
