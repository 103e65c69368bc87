-- vacant(...): of a page (id, due, id, due, …) the first `most` jobs that nobody holds a lease of, as a lot (lists in
-- step: ids, dues, keys of the leases) with the held ones that stood before them, `passed`.
local function vacant(arq, page, most)
  local keys, ids, dues, leases, passed = {}, {}, {}, {}, {}
  for i = 1, #page, 2 do
    keys[#keys + 1] = arq .. 'in-progress:' .. page[i]
  end
  for n, token in ipairs(#keys > 0 and redis.call('MGET', unpack(keys)) or keys) do
    if #ids == most then
      break
    elseif token then
      passed[#passed + 1] = page[n * 2 - 1]
    else
      ids[#ids + 1], dues[#dues + 1], leases[#leases + 1] = page[n * 2 - 1], page[n * 2], keys[n]
    end
  end
  return { ids = ids, dues = dues, leases = leases, moves = {}, entries = {}, counts = {}, passed = passed }
end
