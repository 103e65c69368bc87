"""Checks of queues, workers and settings: facts in, findings out."""

from collections import Counter
from collections.abc import Collection, Iterator

from ..errors import SettingsError
from ..registry import Registry
from ..settings import Settings
from .facts import Facts
from .finding import Finding

LATE_S = 900.0
SHORT_LEASE_S = 5.0


def check_work(facts: Facts, *, tasks: Collection[str] = ()) -> list[Finding]:
    """Judge what waits and who works; ``tasks`` are the names that the settings at hand know."""
    known = {*tasks, *(name for worker in facts.workers for name in worker.tasks)}
    checks = (
        _workers(facts),
        _queues(facts),
        _payloads(facts),
        _doubled(facts),
        _unknown_tasks(facts, known),
        _dead(facts),
    )
    return [finding for check in checks for finding in check]


def check_settings(settings: Settings, registry: Registry) -> list[Finding]:
    """Judge settings that are right by themselves and wrong together."""
    findings: list[Finding] = []
    try:
        registry.check_ttls(settings.dead.keep)
    except SettingsError as error:
        findings += [Finding("settings", "wrong", line) for line in str(error).splitlines()]
    if settings.worker.lease < SHORT_LEASE_S:
        why = f"worker.lease is {settings.worker.lease:g} s: a loop blocked so long loses its jobs"
        findings.append(Finding("settings", "warning", why, 'worker.lease = "15s"'))
    if settings.redis.allow_unsafe_server:
        why = "redis.allow_unsafe_server: workers start on a server that may lose jobs"
        findings.append(Finding("settings", "warning", why, "redis.allow_unsafe_server = false"))
    return findings or [
        Finding("settings", "ok", f"{len(registry)} task{'' if len(registry) == 1 else 's'} known")
    ]


def _workers(facts: Facts) -> Iterator[Finding]:
    living = [worker for worker in facts.workers if worker.is_alive]
    gone = len(facts.workers) - len(living)
    served = {name for worker in living for name in worker.queues}
    idle = [queue for queue in facts.queues if queue.ready and queue.queue not in served]
    if idle:
        names = ", ".join(f"{queue.queue} ({queue.ready:,} ready)" for queue in idle)
        yield Finding("workers", "wrong", f"nobody of ours serves {names}", "runner worker")
    elif not living:
        yield Finding("workers", "warning", "none is alive, and nothing waits", "runner worker")
    else:
        yield Finding("workers", "ok", f"{len(living)} alive")
    if gone:
        why = f"{gone} seen that are gone without a word: killed, or cut off"
        yield Finding("workers", "warning", why, "runner workers names them")


def _queues(facts: Facts) -> Iterator[Finding]:
    begun = len(facts.queues)
    for queue in facts.queues:
        if queue.is_paused:
            why = f"{queue.queue} is paused by {queue.paused_by}: {queue.waiting:,} jobs wait"
            yield Finding("queues", "warning", why, f"runner queues resume {queue.queue}")
        elif queue.oldest_ready_s > LATE_S:
            why = f"the first ready job of {queue.queue} has waited for {queue.oldest_ready_s:,.0f} s"
            yield Finding("queues", "warning", why, "more workers, or worker.max_jobs")
        elif queue.suspects:
            why = f"{queue.suspects} jobs of {queue.queue} may have killed their workers: they run alone"
            yield Finding("queues", "warning", why, f"runner jobs list --queue {queue.queue}")
        else:
            begun -= 1
    if not begun:
        waiting = sum(queue.waiting for queue in facts.queues)
        yield Finding("queues", "ok", f"{waiting:,} jobs wait, none for long")


def _payloads(facts: Facts) -> Iterator[Finding]:
    missing = [job_id for sample in facts.samples for job_id in sample.missing]
    expiring = [job_id for sample in facts.samples for job_id in sample.expiring]
    pickled = sum(sample.pickled for sample in facts.samples)
    leaseless = sum(sample.leaseless for sample in facts.samples)
    looked = sum(sample.looked for sample in facts.samples)
    if missing:
        why = f"{len(missing)} of {looked} jobs have no payload, such as {missing[0]}: evicted or expired?"
        yield Finding("jobs", "wrong", why, "check eviction; they become dead letters when their turn comes")
    if expiring:
        why = (
            f"{len(expiring)} of {looked} jobs expire, as arq's clients make them; our workers take that off"
        )
        yield Finding(
            "jobs", "warning" if not facts.workers else "ok", why, "" if facts.workers else "runner worker"
        )
    if pickled:
        why = f"{pickled} of {looked} payloads are pickles: runner.WorkerSettings makes dead letters of them"
        cure = (
            "job_serializer=runner.wire.serialize in the arq client, or runner worker with its settings class"
        )
        yield Finding("jobs", "warning", why, cure)
    if leaseless:
        why = f"{leaseless} running jobs have lost their worker: they start again when one claims them"
        yield Finding("jobs", "warning", why, "runner workers")
    if not missing + expiring and not pickled + leaseless and not any(x.doubled for x in facts.samples):
        yield Finding("jobs", "ok", f"{looked} looked at")


def _doubled(facts: Facts) -> Iterator[Finding]:
    for sample in facts.samples:
        for job_id, place in list(sample.doubled.items())[:3]:
            why = f"job {job_id} waits in {sample.queue}, and stands in {place} too: it may run twice"
            cure = (
                f"runner dead discard {job_id} --queue {sample.queue}"
                if place.endswith("dead")
                else f"runner jobs cancel {job_id} --queue {sample.queue}"
            )
            yield Finding("jobs", "wrong", why, cure)


def _unknown_tasks(facts: Facts, known: set[str]) -> Iterator[Finding]:
    waiting: Counter[str] = Counter()
    for sample in facts.samples:
        waiting.update({name: count for name, count in sample.tasks.items() if name and name not in known})
    if waiting and known:
        names = ", ".join(f"{name} ({count})" for name, count in waiting.most_common(5))
        why = f"jobs of tasks that nobody knows wait: {names}; after worker.unknown_task_grace they are dead"
        yield Finding("tasks", "warning", why, "deploy a worker that has them, or name their module in tasks")


def _dead(facts: Facts) -> Iterator[Finding]:
    dead = {queue.queue: queue.dead for queue in facts.queues if queue.dead}
    if dead:
        names = ", ".join(f"{count:,} in {name}" for name, count in dead.items())
        yield Finding("dead letters", "warning", names, "runner dead list")
