-- lane_of(lane): the tenant and the gates of a lane, "tenant, then key, limit, on_full of each gate" with US (31) between.
local lanes_read = {}
local function lane_of(lane)
  if not string.find(lane, '\31', 1, true) then
    return { text = lane, tenant = lane, gates = {} }
  elseif not lanes_read[lane] then
    local parts = {}
    for part in string.gmatch(lane .. '\31', '([^\31]*)\31') do
      parts[#parts + 1] = part
    end
    local gates = {}
    for i = 2, #parts - 2, 3 do
      gates[#gates + 1] = { key = parts[i], limit = parts[i + 1], on_full = parts[i + 2] }
    end
    lanes_read[lane] = { text = lane, tenant = parts[1], gates = gates }
  end
  return lanes_read[lane]
end
