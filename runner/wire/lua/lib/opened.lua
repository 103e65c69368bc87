-- opened(keys): the values of keys, read in one go: get(n), and put(n, value) for what a value becomes, written when write()
-- is called. A key may stand there twice.
local function opened(keys)
  local values, changed, moves = redis.call('MGET', unpack(keys)), {}, {}
  local function get(n)
    return changed[keys[n]] or values[n]
  end
  local function put(n, value)
    local key, i = keys[n], #moves
    changed[key], moves[i + 1], moves[i + 2] = value, key, value
  end
  local function write()
    if moves[1] then
      redis.call('MSET', unpack(moves))
    end
  end
  return get, put, write
end
