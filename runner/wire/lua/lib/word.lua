-- word(text): a text as cmsgpack.pack() writes it. Records of nearly all calls are alike but for some words, and to join them
-- costs a third of packing each anew.
local function word(text)
  local n = #text
  if n < 32 then
    return string.char(160 + n) .. text
  end
  return n < 256 and '\217' .. string.char(n) .. text or cmsgpack.pack(text)
end
