-- text(x): an integer as text without losing digits; tostring keeps only 14.
local function text(x)
  return string.format('%.0f', x)
end
