-- workflow_advance: tell a workflow which of its nodes ended and what was done for it; gives what is to be done next.
--
-- Whatever becomes due stands in the set `todo` until somebody says that it was done, so a crash loses nothing; and
-- doing it twice makes no second job, since ids of jobs are derived.
--
-- KEYS  state   hash  of the workflow
-- ARGV  own     str   prefix of the workflow's keys
-- ARGV  id      str   of the workflow
-- ARGV  now_ms  int   0 = ask the server
-- ARGV  acts    rest  verb and four words; repeated, at most 200
--
-- verb  words
-- end   node, how (done, dead, undecided, cancelled) and fence with a space between, edges, what it returned or its error (JSON)
-- did   a word of what was to be done, words with spaces between that follow it, '', ''
-- stop  '' four times: cancel it; a saga turns back, once the node under way has ended
-- again the round that ended, '' three times: go on after a failure or a cancellation
--
-- GIVES state, round, 1 if what becomes due is done, then up to 100 words of what is to be done;
-- GIVES nothing when there is no such workflow
-- FAILS nothing
-- COST  O(1) an act, and members / 64 for the end of a member of a group
-- USES  now text flow_of flow_keep flow_enter flow_conclude flow_follow flow_reopen flow_fail flow_end flow_answer
if redis.call('EXISTS', state) == 0 then
  return {}
end
local at = now(now_ms)
local flow = flow_of(own, id, at)
local act = {
  ['end'] = function(node, how, edges, value)
    local word, fence = string.match(how, '^(%S+) (%d+)$')
    flow_end(flow, node, word, fence, edges, value)
  end,
  did = function(word, following)
    if redis.call('SREM', flow.todo, word) == 1 then
      for each in string.gmatch(following, '%S+') do
        flow_follow(flow, '>' .. each, '', '[]')
      end
    end
  end,
  stop = function()
    if flow.is_saga then
      redis.call('HSET', state, 'turned', '1')
      flow.is_turned = true
      return
    end
    flow.is = flow.goes_on and 'running' or flow.is
    flow_conclude(flow, 'cancelled', '', 'null')
  end,
  again = function(round)
    if flow.is ~= 'running' and flow.is ~= 'succeeded' and flow.is ~= 'undone' and flow.round == round then
      flow_reopen(flow)
    end
  end,
}
for i = 1, acts_n, 5 do
  act[acts(i)](acts(i + 1), acts(i + 2), acts(i + 3), acts(i + 4))
end
return flow_answer(flow)
