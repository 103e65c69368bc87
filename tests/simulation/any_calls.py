"""Calls of scripts as the app makes them: through the wrappers of ``runner.wire``, with few names.

So that calls meet: few ids, and leases, pages and schedules are mostly those that earlier answers gave.
"""

from collections import defaultdict
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

from runner.wire import intake, schedules
from runner.wire.dead_scripts import BEGIN, DeadScripts, Position
from runner.wire.destinations import DestinationScripts
from runner.wire.durable import DurableScripts
from runner.wire.effects import EffectScripts, owner_of
from runner.wire.gates import Call, GateScripts, Visit
from runner.wire.keys import Layout, keys_of
from runner.wire.limits import Cut, LimitScripts, Take
from runner.wire.queue_scripts import QueueScripts
from runner.wire.scripts import Claimed, End, Scripts

from . import draws
from .keyspace import Refused
from .twins import SCRIPTS, Twins, at_time


async def at_once(make: Callable[[], Awaitable[Any]]) -> Any:
    return await make()


class Caller(draws.Draws):
    """Makes calls of one queue.

    Attributes:
        answers: of each script, all that came: they tell whether calls met.
    """

    def __init__(self, twins: Twins, seed: int, layout: Layout) -> None:
        super().__init__(Random(seed))
        self.twins, self.keys = twins, keys_of("default", layout)
        self.answers: defaultdict[str, set[str]] = defaultdict(set)
        self.leases: list[tuple[Claimed, str]] = []
        self.letter, self.place = BEGIN, ("", "")
        send = self.execute
        self.scripts, self.dead, self.queue = Scripts(send), DeadScripts(send), QueueScripts(send)
        self.durable, self.limits = DurableScripts(send, limit=120), LimitScripts(send, layout=layout)
        self.gates = GateScripts(send, self.keys, hold_ms=3000)
        self.others = DestinationScripts(send, self.keys)
        self.effects = EffectScripts(send, at_once, layout=layout, bell="bell", lease_ms=5000)

    async def execute(self, *parts: Any) -> Any:
        command = [part if type(part) is bytes else str(part).encode() for part in parts]
        script = SCRIPTS[command[1]] if command[0] == b"EVALSHA" else None
        reply = self.twins.do(self.now_ms, at_time(command, script, self.now_ms) if script else command)
        assert not isinstance(reply, Refused), (command, reply)
        if script is not None:
            self.answers[script.name].add(repr(reply))
        return reply

    async def make(self, count: int) -> None:
        """Make so many calls, with some time between them."""
        for _ in range(count):
            self.now_ms += self.rng.choice(draws.LEAPS_MS if self.rng.random() < 0.004 else draws.STEPS_MS)
            await self.rng.choice(CALLS)(self)

    def lease(self) -> tuple[str, str]:
        job, token = self.rng.choice(self.leases[-6:]) if self.leases else (None, "t0")
        return (job.job_id, token) if job and self.rng.random() < 0.9 else (self.one(*draws.IDS), token)

    # the life of jobs, for the others to meet some

    async def enqueue(self) -> None:
        await self.scripts.enqueue(self.keys, [self.entry(job_id) for job_id in self.ids()])

    async def claim(self) -> None:
        token = f"t{self.rng.randrange(1000)}"
        claim = await self.scripts.claim(
            self.keys, token=token, worker="w", limit=self.one(1, 5), lease_ms=9000
        )
        self.leases += [(job, token) for job in claim.jobs]

    async def finish(self) -> None:
        if not self.leases:
            return
        job, token = self.leases.pop(self.rng.randrange(-3, 0) % len(self.leases))
        verb, result, note = self.one(*draws.VERBS), b"r", ""
        if verb == "dead":
            note = self.one("failed {}", 'failed 4 {"a"{}')
        elif verb in ("later", "suspend"):
            result, note = (
                self.one(b"", b"1") if verb == "later" else self.one(*draws.SLOTS)[0].encode(),
                "waits",
            )
        ms = job.due_at_ms if verb == "back" else self.one(900, 5000)
        ended = End(job.job_id, token, job.fence, verb, ms, result, note, job.attempt)
        await self.scripts.finish(self.keys, [ended])

    async def set_rules(self) -> None:
        name = self.one(*draws.RULES)
        await self.scripts.set_rules(self.keys, {name: self.one(*draws.RULES[name])})

    # limits and gates

    async def take(self) -> None:
        takes = self.many(
            lambda: [Take(self.one("try", "line", "turn"), self.many(self.want, 2))] * self.one(1, 3)
        )
        await self.limits.take_all([take for alike in takes for take in alike])

    async def cut(self) -> None:
        await self.limits.cut_all(
            self.many(
                lambda: Cut(
                    self.one("pay:a", "pay:b"),
                    "pay",
                    self.one(*draws.RATES, None),
                    self.one(*draws.ADAPTIVES),
                    self.one(0, 900_000),
                )
            )
        )

    async def set_rate(self) -> None:
        name = self.one("pay", "pay:a", "mail")
        await self.one(
            lambda: self.limits.remove(name), lambda: self.limits.set(name, self.one(*draws.RATES))
        )()

    async def enter(self) -> None:
        def visit() -> Visit:
            gates = self.many(self.gate, 2)
            return Visit(
                self.one(*draws.IDS), self.one(True, False), self.one(True, False), self.one(0, 700), gates
            )

        await self.gates.enter_all(self.many(visit))

    async def report(self) -> None:
        def call() -> Call:
            breaker, verdict = self.one(*draws.BREAKERS), self.one(*draws.VERDICTS)
            said = (verdict, self.one(1, 1, 4), self.one(0, 800, 5000), self.one(0, 30, 2000))
            name = "" if verdict in draws.VERDICTS[-3:] else "host"
            told = (self.one(True, False), self.one(0, 300), "503", breaker.policy, breaker.budget)
            return Call(self.gate()[0], name, self.one(*draws.IDS), *said, *told)

        await self.gates.report_all(self.many(call))

    # schedules

    async def tick(self) -> None:
        names = self.many(lambda: self.one("nightly", "hourly"))
        ticks = []
        for name, known in zip(names, await schedules.states(self.execute, self.keys, names), strict=True):
            last = known.last_ms or 0
            tick = self.one(0, last + 60, last + 400, self.now_ms - 10, self.now_ms + 5000)
            rule = known.fingerprint if self.rng.random() < 0.9 else self.one("p1", "p2")
            missed, overlap = self.one(0, 0, 2), self.one("skip", "buffer_one", "allow")
            numbers = (tick, missed, overlap, self.one(0, 2), self.one(0, 0, 9))
            job_id = self.one("", f"{name}:{tick}", f"{name}:{tick}", self.one(*draws.IDS))
            job = (job_id, tick, self.payload())
            ticks.append(schedules.Tick(name, rule, self.one(last, last, last, last - 1), *numbers, *job))
        await schedules.tick(self.execute, self.keys, ticks)

    async def schedule(self) -> None:
        to, name = (self.execute, self.keys, self.one("nightly", "hourly")), self.one("p1", "p2")
        await self.one(
            lambda: schedules.put(*to, fingerprint=name, definition=self.payload()),
            lambda: schedules.drop(*to),
            lambda: schedules.pause(*to, is_paused=self.one(True, False, False)),
            lambda: schedules.flush(*to),
            lambda: schedules.flush(*to),
            lambda: schedules.run(*to, [(job_id, self.payload()) for job_id in self.ids()]),
        )()

    # what runs

    async def record(self) -> None:
        job_id, token = self.lease()
        slot, counter = self.one(*draws.SLOTS)
        to = (self.keys, job_id)
        key, data = self.one("k1", "k2", "k3"), self.one(b'"ok"', b'"' + b"x" * 40 + b'"')
        await self.one(
            lambda: self.durable.step(*to, token=token, step=self.one("step:a", "step:b"), result=data),
            lambda: self.durable.wait(
                *to, token=token, slot=slot, counter=counter, for_ms=self.one(0, 50, 4000)
            ),
            lambda: self.durable.signal(*to, name="paid", key=key, data=data),
            lambda: self.scripts.progress(*to, token=token, note=self.one("0.1", "0.7")),
        )()

    async def effect(self) -> None:
        digest, owner = self.one("e1", "e2"), owner_of("tok", self.one(1, 2), self.one("job1", "job2"))
        await self.effects.ask("begin", [(digest, self.one("f", "f", "f", "g"), owner)])
        owner = self.one(owner, owner, owner_of("tok", 3, "job1"))
        await self.one(
            lambda: self.effects.step.put((digest, owner, self.payload())),
            lambda: self.effects.write([(digest, owner, self.one("D", "F", "U", "N"), 4000, b"data")]),
        )()

    # people, and what comes in

    async def look_at(self) -> None:
        since, until = self.one(0, self.now_ms - 900), self.one(0, 0, self.now_ms)
        _, named = await self.queue.page(
            self.keys, since_ms=since, until_ms=until, after=self.place, limit=self.one(1, 3, 100)
        )
        self.place = (named[-1].due_ms.decode(), named[-1].job_id.decode()) if named else ("", "")
        await self.queue.rows(self.keys, [job.job_id for job in named] or [b"job1"])
        await self.queue.standing(self.keys)

    async def change(self) -> None:
        job_id = self.one(*draws.IDS)
        await self.one(
            lambda: self.queue.pause(self.keys, by="ann"),
            *[lambda: self.queue.resume(self.keys)] * 4,
            lambda: self.queue.hasten(self.keys, job_id),
            lambda: self.queue.rewrite(self.keys, job_id, self.payload(), self.payload()),
        )()

    async def come_in(self) -> None:
        wishes = [intake.Wish(self.entry(job_id), self.sole()) for job_id in self.ids()]
        most, owned = self.one(0, 3, 6), self.one(0, 2)
        await intake.enqueue_checked(
            self.execute, self.keys, wishes, most=most, drops=self.one(True, False), most_owned=owned
        )
        asked = [(job_id, self.one("", "d1", "d2"), self.one(*draws.TENANTS)) for job_id in self.ids()]
        await intake.look(self.execute, self.keys, asked)
        await intake.room(self.execute, self.keys, most=self.one(1, 20))

    async def page(self) -> None:
        order = self.one("newest", "oldest")
        since, until, limit = (
            self.one(0, self.now_ms - 5000),
            self.one(0, 0, self.now_ms),
            self.one(1, 2, 100),
        )
        read = await self.dead.page(
            self.keys, after=self.letter, order=order, since_ms=since, until_ms=until, limit=limit
        )
        self.letter = Position(read.rows[-1].entered_at_ms, read.rows[-1].job_id) if read.rows else BEGIN

    async def letters(self) -> None:
        ids, op, by = self.ids(), f"op{self.rng.randrange(200)}", self.one("ann", "bob")
        fields = {
            "reason": b"failed",
            "attempts": b"2",
            "payload": self.payload(),
            "note": b"{}",
            "step:a": b"1",
        }
        untold = sorted(await self.execute("SMEMBERS", self.keys.dead_untold))
        died = untold[0].decode() if untold else ids[0]
        node, edited = self.one(b"", b"done 3 wf\n1"), self.one(b"", b"", self.payload())
        await self.one(
            lambda: self.dead.replay(self.keys, [(job_id, edited) for job_id in ids], by=by, op=op),
            lambda: self.dead.replay(self.keys, [(job_id, edited) for job_id in ids], by=by, op=op),
            lambda: self.dead.discard(self.keys, ids, verb=self.one("discard", "purge"), by=by, op=op),
            lambda: self.dead.restore(self.keys, [(job_id, fields) for job_id in ids], by=by, op=op),
            *[lambda: self.dead.tell(self.keys, died, self.one(b"", self.payload()), node=node)]
            * (5 if untold else 1),
        )()

    async def hear(self) -> None:
        for key in self.many(lambda: self.one("host:a", "host:b", "host:c")):
            self.others.note(key, self.one("ok", "failed", "throttled"), self.rng.random() * 3)
        await self.others.tell()


CALLS: list[Callable[[Caller], Awaitable[None]]] = [
    *(Caller.enqueue, Caller.claim, Caller.claim, *[Caller.finish] * 3, Caller.set_rules),
    *(Caller.take, Caller.take, Caller.cut, Caller.set_rate, Caller.enter, Caller.enter, Caller.report),
    *(
        Caller.tick,
        Caller.tick,
        Caller.schedule,
        Caller.schedule,
        Caller.record,
        Caller.record,
        Caller.effect,
    ),
    *(
        Caller.look_at,
        Caller.change,
        Caller.come_in,
        Caller.page,
        Caller.letters,
        Caller.letters,
        Caller.hear,
    ),
]
