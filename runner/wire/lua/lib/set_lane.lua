-- set_lane(...): give a new job its lane, and put it there if it is due.
local function set_lane(queue, here, id, due, at, spec)
  if spec ~= '' then
    redis.call('HSET', here .. 'laned', id, spec)
    if tonumber(due) <= at then
      shelve(queue, here, { id }, { due }, { spec })
    end
  end
end
