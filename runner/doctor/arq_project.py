"""What an arq settings class gains under our worker, and what differs: pure, nothing is connected."""

import inspect
from collections.abc import Iterator
from datetime import timezone
from difflib import get_close_matches
from typing import Any

from ..arq_settings import parameters_of, worker_of
from ..engine.worker import Worker
from ..errors import SettingsError
from .finding import Finding

ARQ_MARGIN_S = 10.0
"""What arq adds to the longest timeout for its lease."""


def check_project(settings: Any, name: str) -> tuple[list[Finding], Worker | None]:
    """Judge arq settings, in a running loop; gives the worker made of them too, or None when none can be."""
    try:
        worker = worker_of(settings)
    except SettingsError as error:
        return [*_misspelt(settings), Finding("settings", "wrong", str(error))], None
    count = f"{len(worker.functions)} functions, {len(worker.cron_jobs)} cron jobs"
    begin = Finding("settings", "ok", f"{name}: {count}; 'runner worker {name}' runs it as it is")
    checks = (_misspelt(settings), _inherited(settings), _differs(settings, worker), _gains(worker))
    return [begin, *(finding for check in checks for finding in check)], worker


def _misspelt(settings: Any) -> Iterator[Finding]:
    """Find names that look like an option and are none: arq ignores them without a word."""
    known = [*inspect.signature(Worker).parameters]
    values = settings if isinstance(settings, dict) else {n: getattr(settings, n) for n in dir(settings)}
    for name, value in values.items():
        if name.startswith("_") or name in known or inspect.isroutine(value):
            continue
        close = get_close_matches(name, known, 1, cutoff=0.8)
        if close:
            why = f"'{name}' is no option of a worker, and is ignored"
            yield Finding("settings", "warning", why, f"did you mean {close[0]}?")


def _inherited(settings: Any) -> Iterator[Finding]:
    if not isinstance(settings, type):
        return
    dropped = sorted(parameters_of(settings).keys() - vars(settings).keys())
    if dropped:
        why = f"{', '.join(dropped)}: inherited, so the command arq ignores it; runner worker takes it"
        yield Finding("inheritance", "differs", why)


def _differs(settings: Any, worker: Worker) -> Iterator[Finding]:
    if worker.job_serializer is None:
        why = "payloads are pickles: whoever can write to the server runs code in your workers"
        cure = "job_serializer and job_deserializer of runner.wire: serialize, deserialize; in clients, too"
        yield Finding("serializer", "warning", why, cure)
    offset = worker.timezone.utcoffset(None) if isinstance(worker.timezone, timezone) else None
    if worker.cron_jobs and offset:
        why = (
            f"cron jobs go by a fixed offset, {worker.timezone}: an hour off after each change of the clocks"
        )
        yield Finding("cron", "warning", why, 'timezone = ZoneInfo("Europe/Berlin")')
    if worker.cron_jobs:
        why = "a run that was missed within the last hour is made up for, the latest only; arq leaves it out"
        yield Finding("cron", "differs", why)
    if not parameters_of(settings).get("job_completion_wait"):
        why = "SIGTERM gives running jobs back at once, and they start again elsewhere"
        yield Finding("shutdown", "differs", why, "job_completion_wait = 25 lets them end")
    if not worker.queue_name.startswith("arq:queue"):
        why = (
            f"queue_name '{worker.queue_name}': runner status and its kin see arq:queue and arq:queue:… only"
        )
        yield Finding("queue", "differs", why)


def _gains(worker: Worker) -> Iterator[Finding]:
    lease_s = worker.options.lease_s
    timeouts = [function.timeout_s or worker.job_timeout_s for function in worker.functions.values()]
    held_s = max(timeouts, default=worker.job_timeout_s) + ARQ_MARGIN_S
    why = f"after kill -9 a job starts again within {lease_s:g} s and a moment; with arq after {held_s:g} s"
    yield Finding("crash", "gain", why)
    yield Finding("server", "gain", "a Redis that is away for a moment is waited for; arq's worker ends")
    yield Finding("deploy", "gain", "a job that a shutdown cuts off keeps its try; with arq it costs one")
    why = f"jobs start when they are due; arq looks every {worker.poll_delay_s:g} s"
    yield Finding("latency", "gain", why)
    if worker.cron_jobs:
        yield Finding("cron", "gain", "a run happens once, however far the clocks of your workers are apart")
    if worker.on_job_start or worker.on_job_end or worker.after_job_end:
        yield Finding("hooks", "gain", "an exception in a job's hook fails the job; arq's worker ends")
