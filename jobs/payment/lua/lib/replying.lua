-- replying(pay, op, op_id, at): gives give(verb, ms): the reply that says what to do, after so many ms, with the operation.
local function replying(pay, op, op_id, at)
  return function(verb, ms)
    local reply = { verb, ms, 'at', text(at), 'op_id', op_id, 'payment_ref', redis.call('HGET', pay, 'ref') or '' }
    for name, value in pairs(table_of(op)) do
      reply[#reply + 1], reply[#reply + 2] = name, value
    end
    return reply
  end
end
