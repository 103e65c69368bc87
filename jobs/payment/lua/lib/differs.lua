-- differs(was, asked): whether an operation of this id was begun as another one. One that was restored from the gateway
-- knows its amount only.
local function differs(was, asked)
  if was.fp == '*' then
    return was.amount ~= asked.amount or was.currency ~= asked.currency
  end
  return was.fp ~= asked.fp
end
