"""Tasks that run elsewhere than in the worker's event loop: in a thread, a warm process, or a fresh one.

isolation  places: who may run, in which process
thread     a call in a thread of this process
process    a child process, seen from the worker: start it, give it a call, hear it, kill it
child      the same from inside; it is started by exec, never forked off an event loop
body       a task's own code, plain or async, and how it is interrupted
context    the reduced ctx that such code gets
frames     what goes over the pipe: JSON behind its length, no pickle
told       an exception as JSON, and back
died       what a process that dies leaves of its attempt
"""
