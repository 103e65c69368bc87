"""The same work without a queue: what no job library can be faster than."""

import json
import subprocess
import sys
import time

import hiredis

from runner.bench.stage import Stage

from .measures import BODY, Sample, receiver
from .players import Scene

JOBS, BATCH = 40_000, 100
HOOKS, HOOKS_AT_ONCE = 6_000, 100
PAYLOAD = b"x" * 100
STEP_S = 60.0


def commands(stage: Stage) -> Sample:
    """Claim and finish jobs with the fewest commands that lose nothing, a hundred jobs a trip.

    Each job is moved to a list of what runs, its payload is read, its result is written with an end of its
    life, its payload is deleted, and the list is emptied once a trip. One connection, and hiredis without a
    client around it.
    """
    stage.clear()
    stage.redis.lpush("waiting", *range(JOBS))
    for start in range(0, JOBS, 1000):
        stage.redis.mset({f"job:{n}": PAYLOAD for n in range(start, start + 1000)})
    stage.rest()
    link = stage.redis.connection_pool.get_connection("_")
    reader, server_s, began = hiredis.Reader(), stage.cpu_s(), time.perf_counter()
    for _ in range(JOBS // BATCH):
        ids = _trip(link, reader, [("LMOVE", "waiting", "running", "RIGHT", "LEFT")] * BATCH)
        _trip(link, reader, [("GET", b"job:" + name) for name in ids])
        ends = [(("SET", b"result:" + n, b"1", "PX", 3_600_000), ("DEL", b"job:" + n)) for n in ids]
        _trip(link, reader, [command for pair in ends for command in pair] + [("LTRIM", "running", 1, 0)])
    seconds, server_s = time.perf_counter() - began, stage.cpu_s() - server_s
    stage.redis.connection_pool.release(link)
    return {"bare commands, jobs/s": JOBS / seconds, "bare commands, server CPU": server_s / JOBS * 1e6}


def _trip(link: object, reader: hiredis.Reader, asked: list[tuple[object, ...]]) -> list[bytes]:
    connection = link._sock  # type: ignore[attr-defined] # noqa: SLF001 - the floor is below the client
    connection.sendall(b"".join(hiredis.pack_command(command) for command in asked))
    said: list[bytes] = []
    while len(said) < len(asked):
        if (answer := reader.gets()) is False:
            reader.feed(connection.recv(65536))
        else:
            said.append(answer)
    return said


def requests(scene: Scene) -> Sample:
    """Send the same requests by our own transport in a loop: ``exchange`` is what ``send_webhook`` calls."""
    sample: Sample = {}
    with receiver(scene) as (url, _):
        for way in ("post", "exchange"):
            words = [way, url, str(HOOKS), str(HOOKS_AT_ONCE), str(len(BODY))]
            done = subprocess.run(
                [sys.executable, "-m", "runner.bench.bare", *words],
                capture_output=True,
                text=True,
                timeout=STEP_S,
                check=True,
            )
            took = json.loads(done.stdout)
            sample[f"bare {way}, requests/s"] = HOOKS / took["seconds"]
            sample[f"bare {way}, CPU"] = took["cpu_s"] / HOOKS * 1e6
    return sample
