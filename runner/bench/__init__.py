"""How fast it is: ``runner bench``, never a timed test.

    noop, sleep, latency, limits, isolation, enqueue, backlog, webhooks, payments
                  one measure a file, its figures in a table before it
    drain.py      starts workers, holds them while jobs are enqueued, lets them go, watches
    peers.py      who is measured: we and stock arq; another library is one more class like theirs
    stock_arq.py  the settings class that stock arq's worker runs
    tasks.py      what our workers run
    receiver.py   a fast receiver of webhooks, in a process of its own
    bare.py       the same requests without a queue, in a process of its own
    process.py    child processes, and what they cost
    stage.py      the server that all of it runs on
    report.py     medians, and how they are told
    run.py        repeats a measure and checks its counts

Workers run as anybody starts them, ``arq runner.WorkerSettings``, on a server with an append-only file.
``RUNNER_…`` variables of the caller apply to them, so ``RUNNER_LOGS__LEVEL=WARNING runner bench noop`` is a
measure too.
"""
