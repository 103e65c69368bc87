-- opened(keys): the values of keys, read in one go: get(n), and put(n, value, keep_ms) for what a value becomes; without
-- keep_ms it stays for ever and travels with the others when write() is called. A key may stand there twice.
local function opened(keys)
  local values, changed, moves = redis.call('MGET', unpack(keys)), {}, {}
  local function get(n)
    return changed[keys[n]] or values[n]
  end
  local function put(n, value, keep_ms)
    local key = keys[n]
    changed[key] = value
    if keep_ms then
      redis.call('SET', key, value, 'PX', keep_ms)
    else
      moves[#moves + 1], moves[#moves + 2] = key, value
    end
  end
  local function write()
    if moves[1] then
      redis.call('MSET', unpack(moves))
    end
  end
  return get, put, write
end
