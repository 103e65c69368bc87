"""``runner doctor``: whether the server is fit for jobs, and what an arq project gains here."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any

import typer

from ..app import Runner
from ..arq_settings import client_of, import_settings, url_of
from ..doctor import (
    Finding,
    Trust,
    check_masters,
    check_project,
    check_server,
    check_settings,
    check_work,
    is_wrong,
    masters_of,
    read_facts,
    read_masters,
)
from ..wire.keys import keys_of, keys_of_arq_queue
from .connected import run
from .showing import clean, print_json

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command()
def doctor(
    settings_class: Annotated[
        str, typer.Argument(metavar="MODULE.CLASS", help="An arq settings class; none: settings.toml.")
    ] = "",
    quick: Annotated[bool, typer.Option("--quick", help="Do not watch the clock for 2 s.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One list.")] = False,
) -> None:
    """Check server, settings and queues; exit code 1 when something is wrong.

    It changes nothing but a queue of its own, 'doctor-probe', where one job lives for a moment.
    """
    watch_s = 0.0 if quick else 2.0
    if settings_class in {"", "runner.WorkerSettings"}:
        findings = run(lambda runner: _ours(runner, watch_s))
    else:
        findings = asyncio.run(_theirs(import_settings(settings_class), settings_class, watch_s))
    if as_json:
        print_json([asdict(finding) for finding in findings])
    else:
        _print(findings)
    if is_wrong(findings):
        raise typer.Exit(1)


async def _ours(runner: Runner, watch_s: float) -> list[Finding]:
    settings = runner.settings
    layout = settings.redis.key_layout
    keys = [keys_of(at, layout) for at in settings.shards.all(settings.worker.queues)]
    url = runner.server_url()
    redis, durable = settings.redis, settings.durable_for(settings.worker.queues)
    trust = Trust(redis.ca_file, redis.cert_file, redis.key_file)
    facts = await read_facts(
        runner.client.execute, url=url, queues=keys, layout=layout, trust=trust, watch_s=watch_s
    )
    async with masters_of(url, redis) as masters:
        found = await read_masters(masters, facts)
    findings = check_masters(found, durable=durable) if found else check_server(facts, durable=durable)
    findings += check_settings(settings, runner.registry)
    return findings + check_work(facts, tasks=[task.name for task in runner.registry])


async def _theirs(settings: Any, name: str, watch_s: float) -> list[Finding]:
    findings, worker = check_project(settings, name)
    if worker is None:
        return findings
    client = await client_of(worker)
    try:
        keys = keys_of_arq_queue(worker.queue_name)
        at = worker.redis_settings
        trust = Trust(
            (at and at.ssl_ca_certs) or "", (at and at.ssl_certfile) or "", (at and at.ssl_keyfile) or ""
        )
        url = url_of(worker)
        facts = await read_facts(client.execute, url=url, queues=[keys], trust=trust, watch_s=watch_s)
    finally:
        await client.close()
    return [*findings, *check_server(facts), *check_work(facts, tasks=list(worker.functions))]


def _print(findings: Sequence[Finding]) -> None:
    width = max(len(finding.verdict) for finding in findings)
    checks = max(len(finding.check) for finding in findings)
    for finding in findings:
        print(clean(f"{finding.verdict:<{width}}  {finding.check:<{checks}}  {finding.why}"))
        if finding.cure:
            print(clean(f"{'':<{width}}  {'':<{checks}}  > {finding.cure}"))
    counts = Counter(finding.verdict for finding in findings)
    print(", ".join(f"{count} {verdict}" for verdict, count in counts.items()))
