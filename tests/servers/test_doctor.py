"""The doctor at a cluster, where every master is asked, and at a server with TLS."""

from typing import Any

import redis as redis_sync

from runner import Runner, Settings
from runner.doctor import Trust, check_masters, check_server, masters_of, read_facts, read_masters
from runner.doctor.certificate import Certificate, read_certificate
from runner.settings import RedisGroup
from runner.wire.asking import Refusal
from runner.wire.keys import keys_of


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
