"""Other job libraries beside us, on one server in one run: ``make bench-peers``.

    peers.py        who takes part, and where its packages and its adapter are
    install.py      a folder of packages for each, from requirements/
    adapters/       a file a library: tasks, client, how a worker is started (wire.py says the protocol)
    stage.py        the server, on a port of its own
    players.py      clients that are asked, workers that are watched: processor time, jobs that have run
    measures.py     one repetition: enqueue, drain, latency, webhooks
    growth.py       long queues, and jobs parked for later
    floor.py        the same without a queue: the server's commands, the requests
    book.py         what was seen, as numbers; kept as JSON
    allocator.py    a program of its own: the same server with another allocator
    plan.py         how much of it; run.py goes through it, peer by peer, round after round
    figures.py      what is compared, and our own bars
    report.py       medians, ratios, what we win and lose; plots.py draws them

No file but ``adapters/wire.py`` knows that there is more than one language among them.
"""
