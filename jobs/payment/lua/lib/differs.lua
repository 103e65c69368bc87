-- differs(was, asked): whether an operation of this id was begun as another one. A charge that was restored from the
-- gateway has no source: of that one only money and currency are known.
local function differs(was, asked)
  local is_restored = was.kind == 'charge' and not was.source
  return was.amount ~= asked.amount
    or was.currency ~= asked.currency
    or not is_restored
      and (was.source ~= asked.source or was.customer ~= asked.customer or was.capture ~= asked.capture)
end
