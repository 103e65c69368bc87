"""``runner demo``: webhooks for a receiver that misbehaves, a worker killed half-way, and the balance.

    faults.py      what goes wrong with which request: decided by a seed
    ledger.py      what the receiver has written down, on disk
    receiver.py    the receiver, a process of its own that knows nothing of the runner
    processes.py   starts receiver and workers, kills them, leaves none behind
    watch.py       what the server says of our jobs
    balance.py     our word against the ledger
    show.py        a panel on a terminal, lines without one
    scenario.py    the plot

The task that delivers is ``jobs/demo.py``.
"""
