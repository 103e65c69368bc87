-- holds(entry, token): whether a running entry, "token fence worker alone", is of this token.
local function holds(entry, token)
  return entry and string.sub(entry, 1, #token + 1) == token .. ' '
end
