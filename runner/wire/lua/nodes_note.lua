-- nodes_note: keep for a workflow that something is to be done for it; whoever looks at this queue's nodes does it.
--
-- FLAGS none
-- KEYS  nodes_ended  zset  node that ended -> look at (ms)
-- ARGV  now_ms       int   0 = ask the server
-- ARGV  lease_ms     int   time for the caller to do it
-- ARGV  id           str   of the note; the same id again takes the place
-- ARGV  how          str   what is to be done
-- GIVES when others look at it, which names this note to nodes_drop
-- FAILS nothing
-- COST  O(log n)
-- USES  now text note_node
local at = now(now_ms) + lease_ms
note_node(nodes_ended, id, at, '0', how)
return text(at)
