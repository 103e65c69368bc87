"""Jobs that keep a deployment healthy; settings.toml has a schedule for each.

| job | does | tells |
| --- | --- | --- |
| `sweep_retention` | deletes what is beyond retention | what was deleted |
| `resolve_unknown_payments` | takes up payments of which nobody knows how they ended | what was closed |
| `reconcile_payments` | compares the gateway's list with the ledger (jobs.payment) | what differs |
| `report_endpoints` | counts webhooks that were given up, by host | hosts, reasons, counts |
| `report_stuck_jobs` | finds jobs that run too long, and queues that wait too long | them |

The payment jobs do nothing while no gateway is set. A report is a line in the log, a warning when there is
something to look at; with ``webhook="https://…"`` it is delivered too, by ``send_webhook``.
"""

import logging
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

from runner.context import Context
from runner.dead_letters import Filter, Letter, Retention
from runner.standing import claimed, overdue
from runner.sweep import sweep
from runner.tasks import task

from . import payment
from .webhook import send_webhook

logger = logging.getLogger("jobs.maintenance")

HOUR_S = 3600.0
DAY_S = 24 * HOUR_S
MAX_LETTERS = 100_000
"""Dead letters of a day that a report looks at."""
MAX_TOLD = 100
"""Endpoints, or jobs, that a report names."""


@task
async def sweep_retention(ctx: Context, audit_s: float = 90 * DAY_S) -> dict[str, int]:
    """Delete dead letters beyond ``[dead]``, old entries of their audit, and workers long gone.

    Results are not looked at: they expire by themselves (``worker.keep_result``).

    Args:
        ctx: the job's context.
        audit_s: age in seconds from which entries of the audit go.
    """
    settings, dead = ctx.settings, ctx.settings.dead
    swept = await sweep(
        ctx["runner"].client.execute,
        settings.shards.all(settings.worker.queues),
        settings.redis.key_layout,
        retention=Retention(dead.keep, dead.max_count, dead.max_bytes, frozenset(dead.keep_forever)),
        audit_s=audit_s,
        worker_s=DAY_S,
    )
    counts = {"dead_letters": swept.dead_letters, "audit": swept.audit_entries, "workers": swept.workers}
    logger.info("swept: %s", _words(counts))
    return counts


@task(queue="critical")
async def resolve_unknown_payments(ctx: Context) -> dict[str, int]:
    """Take a turn at payments whose own jobs did not come back; nothing while no gateway is set."""
    if not ctx.settings.payments.url:
        return {}
    return await payment.resolve_unknown(ctx)


@task(queue="critical")
async def reconcile_all_payments(ctx: Context, days: float = 30) -> dict[str, int]:
    """Run ``jobs.payment.reconcile_payments``; nothing while no gateway is set.

    Args:
        ctx: the job's context.
        days: how far to look back.
    """
    if not ctx.settings.payments.url:
        return {}
    counts = await payment.reconcile_payments(ctx, days)
    logger.info("reconciled: %s", _words(counts))
    return counts


@task
async def report_endpoints(ctx: Context, hours: float = 24, webhook: str = "") -> dict[str, Any]:
    """Count the webhooks that were given up, by host of the endpoint and by reason.

    Args:
        ctx: the job's context.
        hours: how far to look back.
        webhook: where the report goes too; empty for the log alone.

    Returns:
        ``endpoints``: the worst first, at most 100: host, given_up, last_error; ``given_up``: all together.
    """
    counts, errors = Counter[str](), dict[str, str]()
    async for letter in _given_up(ctx, hours):
        for host in letter.hosts[:1]:
            counts[host] += 1
            errors.setdefault(
                host, f"{letter.error.get('type', '')}: {letter.error.get('message', '')}"[:200]
            )
    endpoints = [
        {"host": host, "given_up": count, "last_error": errors[host]}
        for host, count in counts.most_common(MAX_TOLD)
    ]
    report = {"hours": hours, "given_up": counts.total(), "endpoints": endpoints}
    lines = [f"{each['host']}: {each['given_up']} given up ({each['last_error']})" for each in endpoints]
    await _tell(ctx, "endpoints", report, lines, webhook)
    return report


@task
async def report_stuck_jobs(
    ctx: Context, running_s: float = HOUR_S, waiting_s: float = 15 * 60, webhook: str = ""
) -> dict[str, Any]:
    """Find jobs that have run for long, and queues whose first due job has waited for long.

    Args:
        ctx: the job's context.
        running_s: a call that runs longer is told.
        waiting_s: a queue whose first job is overdue by more is told: too few workers, or none.
        webhook: where the report goes too when there is something to tell; empty for the log alone.

    Returns:
        ``running``: id, queue, task, worker, for_s; ``waiting``: queue, id, for_s, jobs.
    """
    settings, execute = ctx.settings, ctx["runner"].client.execute
    where = (settings.shards.all(settings.worker.queues), settings.redis.key_layout)
    running = (await claimed(execute, *where, at_least_s=running_s))[:MAX_TOLD]
    waiting = await overdue(execute, *where, at_least_s=waiting_s)
    report = {
        "running": [
            {"id": j.id, "queue": j.queue, "task": j.task, "worker": j.worker, "for_s": round(j.for_s)}
            for j in running
        ],
        "waiting": [{"queue": w.queue, "id": w.id, "for_s": round(w.for_s), "jobs": w.jobs} for w in waiting],
    }
    lines = [f"job {j.id} ({j.task}) runs for {j.for_s:.0f} s on {j.worker}" for j in running]
    lines += [f"queue {w.queue}: {w.jobs} jobs are due, the first for {w.for_s:.0f} s" for w in waiting]
    await _tell(ctx, "stuck jobs", report, lines, webhook if lines else "")
    return report


async def _given_up(ctx: Context, hours: float) -> AsyncIterator[Letter]:
    """Give the dead letters of webhooks that died within these hours, newest first."""
    seconds, _ = await ctx["runner"].client.execute("TIME")
    wanted = Filter(task="*webhook*", since_ms=round((int(seconds) - hours * HOUR_S) * 1000))
    cursor, looked = "", 0
    while looked < MAX_LETTERS:
        page = await ctx["runner"].dead.find(wanted, cursor=cursor, limit=500, look=1000)
        letters: list[Letter] = list(page.letters)
        for letter in letters:
            yield letter
        cursor, looked = page.cursor, looked + 1000
        if not cursor:
            return


async def _tell(ctx: Context, what: str, report: dict[str, Any], lines: list[str], webhook: str) -> None:
    if lines:
        logger.warning("%s: %s", what, "; ".join(lines))
    else:
        logger.info("%s: nothing to report", what)
    if webhook:
        call = send_webhook.using(key=f"report:{ctx.job_id}")
        await ctx.enqueue(call, webhook, report, event=f"report.{what.replace(' ', '_')}")


def _words(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items())
