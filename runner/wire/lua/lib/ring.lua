-- ring(bells, digest): tell every process that waits for a record; `bells` are channels with spaces between.
local function ring(bells, digest)
  for bell in string.gmatch(bells or '', '%S+') do
    redis.call('PUBLISH', bell, 'once ' .. digest)
  end
end
