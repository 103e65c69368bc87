"""Several worker processes under one parent: started, watched, replaced before they retire, drained together.

plan        what is to be done next, as a pure function of what is known of each process
process     one worker process: start it, hear it, signal it
beat        what a worker process tells its parent
supervisor  the parent: signals in, plan, actions out
endpoint    the parent's own port: health and metrics of all processes together
together    metrics of several processes as one text
notify      systemd's readiness and watchdog
"""
