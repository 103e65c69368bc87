-- make_room(...): whether one more job may wait where `most` may, and how many wait then; drop() takes one of them away.
local function make_room(waiting, most, drop)
  local has_room = most == 0 or waiting < most
  for _ = 1, has_room and 0 or 2 do
    if waiting >= most and drop() then
      waiting, has_room = waiting - 1, true
    end
  end
  return has_room, has_room and waiting + 1 or waiting
end
