-- lane_of(lane): the tenant and the gates of a lane, "tenant, then key, limit, on_full of each gate" with US (31) between.
-- The same lane is the same table, all through a call.
local lanes_read = {}
local function lane_of(lane)
  local known = lanes_read[lane]
  if not known then
    local parts, gates = {}, {}
    if not string.find(lane, '\31', 1, true) then
      parts[1] = lane
    else
      for part in string.gmatch(lane .. '\31', '([^\31]*)\31') do
        parts[#parts + 1] = part
      end
    end
    for i = 2, #parts - 2, 3 do
      gates[#gates + 1] = { key = parts[i], limit = parts[i + 1], on_full = parts[i + 2] }
    end
    known = { text = lane, tenant = parts[1], gates = gates }
    lanes_read[lane] = known
  end
  return known
end
