-- refusal(payment, asked): the word for why an operation cannot begin on a payment, or nil. Keeps
-- authorized >= captured >= refunded + refunding.
local function refusal(payment, asked)
  local function sum(name)
    return tonumber(payment[name] or '0')
  end
  if asked.kind == 'charge' then
    return nil
  elseif not payment.currency then
    return 'no_payment'
  elseif payment.currency ~= asked.currency and asked.kind ~= 'void' then
    return 'currency'
  elseif not payment.ref then
    return 'not_charged'
  end
  local amount = tonumber(asked.amount)
  if asked.kind == 'refund' then
    if sum('captured') == 0 then
      return 'not_captured'
    end
    return sum('refunded') + sum('refunding') + amount > sum('captured') and 'over_refund' or nil
  elseif sum('captured') + sum('capturing') > 0 then
    return 'captured'
  elseif sum('voided') + sum('voiding') > 0 then
    return 'voided'
  elseif sum('authorized') == 0 then
    return 'not_authorized'
  end
  return asked.kind == 'capture' and amount > sum('authorized') and 'over_capture' or nil
end
