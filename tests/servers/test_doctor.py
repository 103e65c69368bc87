"""The doctor at a cluster, where every master is asked, and at a server with TLS; each command that reads."""

import asyncio
import importlib
import json
import os
import sys
from typing import Any

import pytest
import redis as redis_sync

from runner import Runner, Settings, chain
from runner.cli import main
from runner.doctor import Trust, check_masters, check_server, masters_of, read_facts, read_masters
from runner.doctor.certificate import Certificate, read_certificate
from runner.errors import JobFailed
from runner.settings import RedisGroup
from runner.wire.asking import Refusal
from runner.wire.keys import keys_of

TASKS = """
from runner import Concurrency, GiveUp, task

@task(concurrency=Concurrency("at-once", 1))
async def echo(ctx, word: str) -> str:
    if word == "dies":
        raise GiveUp(word)
    return word
"""
SETTINGS = """
tasks = ["clustered"]
[redis]
url = "{url}"
cluster = true
[queues.bulk]
shards = 3
"""


async def fill(runner: Runner, echo: Any) -> str:
    """Leave something of all that can be listed; the id of a workflow that has ended."""
    async with runner.worker():
        await runner.schedules.upsert("nightly", task=echo, every="1d", args=["x"])
        flow = await runner.start(chain(echo.call("a"), echo.using(queue="bulk").call()))
        await flow.result(timeout=10)
        doomed = await runner.enqueue(echo.using(key="doomed"), "dies")
        with pytest.raises(JobFailed):
            await doomed.result(timeout=10)
        await runner.enqueue(echo.using(key="waits", delay=3600), "later")
        return flow.id


async def test_every_master_of_a_cluster_is_looked_at(cluster: dict[str, Any]) -> None:
    """One of three is set otherwise: it is named, and the two others are not."""
    redis = RedisGroup(**cluster, allow_unsafe_server=True)
    async with (
        Runner(Settings(redis=redis, tasks=()), tasks=[]) as runner,
        masters_of(redis.url, redis) as nodes,
    ):
        assert len(nodes) == 3
        name = max(nodes)
        with redis_sync.Redis(host=name.partition(":")[0], port=int(name.partition(":")[2])) as one:
            one.config_set("busy-reply-threshold", 50)
            try:
                keys = [keys_of("default", "tagged")]
                facts = await read_facts(
                    runner.client.execute, url=redis.url, queues=keys, layout="tagged", watch_s=0
                )
                findings = check_masters(await read_masters(nodes, facts))
            finally:
                one.config_set("busy-reply-threshold", 5000)
    assert facts.probe == "ended"
    [busy] = [each for each in findings if each.check == "busy"]
    assert (busy.verdict, busy.why.startswith(f"{name}: ")) == ("warning", True)
    assert [each.why for each in findings if each.check == "cluster"] == [
        "state ok, each queue in one slot (3 masters)"
    ]


async def test_a_certificate_is_looked_at_whatever_the_connection_checks(tls: dict[str, Any]) -> None:
    """One for another name is wrong, also where the address says that names are not checked."""
    trust = Trust(tls["ca_file"], tls["cert_file"], tls["key_file"])
    shown = await read_certificate(tls["url"], trust, now_s=0)
    assert isinstance(shown, Certificate)
    assert (shown.wrong, shown.ends_in_s > 0) == ("", True)
    other = tls["url"].replace("localhost", "127.0.0.1")
    redis = RedisGroup(**{**tls, "url": f"{other}?ssl_check_hostname=false"}, allow_unsafe_server=True)
    async with Runner(Settings(redis=redis, tasks=()), tasks=[]) as runner:
        facts = await read_facts(runner.client.execute, url=redis.url, queues=[], trust=trust, watch_s=0)
    [found] = [each for each in check_server(facts) if each.check == "certificate"]
    assert (found.verdict, "127.0.0.1" in found.why) == ("wrong", True)
    assert isinstance(await read_certificate("rediss://localhost:1", Trust(), now_s=0), Refusal)
    assert await read_certificate("redis://localhost:1", Trust(), now_s=0) is None


def test_each_command_that_reads_works_on_a_cluster(
    cluster: dict[str, Any], tmp_path: Any, monkeypatch: Any, capsys: Any
) -> None:
    """What it tells lies on three nodes, and is told as if it were one."""
    (tmp_path / "settings.toml").write_text(SETTINGS.format(**cluster))
    (tmp_path / "clustered.py").write_text(TASKS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in [name for name in os.environ if name.startswith("RUNNER_")]:
        monkeypatch.delenv(name)
    redis = RedisGroup(**cluster, allow_unsafe_server=True)
    echo = importlib.import_module("clustered").echo
    flow = asyncio.run(fill(Runner(Settings(redis=redis, tasks=()), tasks=[echo]), echo))

    def told(line: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["runner", *line.split()])
        with pytest.raises(SystemExit) as ended:
            main()
        return int(ended.value.code or 0), "".join(capsys.readouterr())

    for line, part in {
        "status": "critical", "queues list": "bulk", "queues list --shards": "bulk~2",
        "workers": "no worker is alive",
        "jobs list": "waits", "jobs show waits": "later", "jobs explain waits": "scheduled",
        "dead list": "GiveUp: dies", "dead show doomed": "GiveUp: dies", "dead log": "",
        "limits list": "at-once", "schedules list": "nightly", "schedules show nightly": "echo",
        "workflows list": flow, f"workflows show {flow}": "succeeded",
    }.items():  # fmt: skip
        code, text = told(line)
        assert (code, part in text) == (0, True), (line, text)
    code, text = told("doctor --quick --json")
    assert [each["check"] for each in json.loads(text) if each["verdict"] == "wrong"] == ["durability"]
