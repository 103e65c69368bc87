"""Watches what scripts the server runs, and keeps books of its own: leases, locks, ends.

It reads commands and replies as they are on the wire, so it believes neither the engine nor the scripts.

| must never be | because |
| --- | --- |
| a lease given while another one lives | two workers would run one job |
| a call that goes on after its lease was lost, awake, for longer than a renewal takes | likewise |
| a lease lost without a fault that costs leases | jobs would run twice on every day |
| an attempt or a fence that does not rise | receivers could not refuse the older one |
| an attempt spent by what spends none: a snooze, a release | jobs would die without a failure |
| a job that ends twice | its result would change after somebody saw it |
| more live leases under a gate than it lets through | that is all a gate is for |
| a lock given while another holder lives | likewise |
| an effect begun anew after it was done | it would happen twice |
| a job, a lock or a record taken from a call that lives, because the server was away | see ``taken`` |
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from runner.wire.lua_loader import Script, load

from .keyspace import Refused
from .network import Network
from .shop import GATE, LEASE_S, Call, Ledger
from .taken import Taken
from .ticks import WATCHED as TICKING
from .ticks import Ticks

WATCHED = ("claim", "renew", "maintain", "finish", "cancel", "lock_acquire", "lock_release", "keep_held")
WATCHED_TOO = ("idempotency_begin", "idempotency_finish")
SCRIPTS = {load(name).sha.encode(): load(name) for name in WATCHED + WATCHED_TOO + TICKING}
BY_SOURCE = {script.source.encode(): script for script in SCRIPTS.values()}
LEASE_MS = round(LEASE_S * 1000)
OVER, UNSPENT = (b"done", b"dead"), (b"later", b"back", b"sort", b"suspend")


@dataclass(slots=True)
class Lease:
    """Who may work at a job, and until when by the server's clock."""

    token: bytes
    until_ms: int
    fence: int


class Witness:
    """The books of one server's scripts.

    Attributes:
        leases: that nobody gave up, by job; some may have run out.
        spent: attempts, by job.
        vanished: how often a lease ran out and the job went to somebody else.
        ends: what ended a job, by job.
        cancels: the results of jobs that were cancelled while they waited, by job.
        winners: attempts, as (job, fence), that ended well and were believed.
        done: digests of effects that are known to have happened.
        records: who has begun an effect and not said how it ended, by digest.
        shared: how often a record was taken from a call that lived, by digest.
        taken: what was taken from whom.
        ticks: the books of schedules.
    """

    def __init__(self, network: Network, ledger: Ledger, now_ms: Any) -> None:
        self._ledger = ledger
        self._now_ms = now_ms
        self.leases: dict[bytes, Lease] = {}
        self.fences: dict[bytes, int] = {}
        self.spent: Counter[bytes] = Counter()
        self.vanished: Counter[bytes] = Counter()
        self.ends: dict[bytes, list[str]] = {}
        self.cancels: dict[bytes, bytes] = {}
        self.winners: set[tuple[str, int]] = set()
        self.unsure: set[bytes] = set()
        self.gated: dict[bytes, str] = {}
        self.ticks: Ticks
        self.locks: dict[bytes, tuple[bytes, int]] = {}
        self.done: set[bytes] = set()
        self.records: dict[bytes, bytes] = {}
        self.shared: Counter[bytes] = Counter()
        self.taken = Taken(network, ledger)

    def let_expire(self, now_ms: int) -> None:
        """What has run out stays so, also when the clock goes back: the server has let go of it."""
        for lease in self.leases.values():
            if lease.until_ms <= now_ms:
                lease.until_ms = 0

    def after(self, command: list[bytes], reply: Any) -> None:
        """Note what a script did."""
        if isinstance(reply, Refused):
            if not str(reply).startswith("NOSCRIPT"):
                self._ledger.blame(f"a script failed: {reply}")
            return
        script = SCRIPTS.get(command[1]) or BY_SOURCE.get(command[1])
        if script is not None:
            named, rest = _arguments(script, command)
            if script.name in TICKING:
                self._tick(script.name, named, rest, reply, command[3 + len(script.keys) - 1])
            else:
                getattr(self, f"_{script.name}")(named, rest, reply)

    def _take_back(self, token: bytes, now: int) -> None:
        """A claim is sent again: what its first sending leased is given back, if nobody took it meanwhile."""
        for job in [job for job, lease in self.leases.items() if lease.token == token]:
            if self.leases.pop(job).until_ms <= now:
                self.unsure.add(job)
            self.spent[job] -= 1

    def _check_attempt(self, job: bytes, attempt: int) -> None:
        if job in self.unsure and attempt == self.spent[job] + 2:
            self.spent[job] += 1  # somebody set it aside as a suspect before the claim was sent again
        self.unsure.discard(job)
        if attempt != self.spent[job] + 1:
            self._blame(f"{job!r} begins attempt {attempt} after {self.spent[job]} were spent")

    def _claim(self, named: dict[str, bytes], _: list[bytes], reply: list[Any]) -> None:
        now, token = reply[0], named["token"]
        if named["is_resent"] == b"1":
            self._take_back(token, now)
        for at in range(5, len(reply), 12):
            job, attempt, fence = reply[at], int(reply[at + 2]), int(reply[at + 4])
            held = self.leases.get(job)
            if held is not None:
                self.vanished[job] += 1
                if reply[at + 8] != 1:  # one that runs alone was set aside before, by whomever
                    self.taken.look(job, job, held.fence)
                self._ledger.lose(job.decode(), held.fence)
                if held.until_ms > now and held.token != token:
                    self._blame(f"{job!r} was given away {held.until_ms - now} ms before its lease ended")
            if (
                job.startswith(b"flow:") and attempt == 1
            ):  # a node may be made anew; its workflow then ends it
                self.ends.pop(job, None)
                self.spent[job] = 0
            if fence <= self.fences.get(job, 0):
                self._blame(f"{job!r} got fence {fence} after {self.fences[job]}")
            self._check_attempt(job, attempt)
            self.spent[job], self.fences[job] = attempt, fence
            self.leases[job] = Lease(token, now + int(named["lease_ms"]), fence)
            self.taken.keep(job)
            if job in self.ends:
                self._blame(f"{job!r} runs again after it ended: {self.ends[job]}")
        self._look_at_gate(now)

    def _renew(self, named: dict[str, bytes], rest: list[bytes], lost: list[bytes]) -> None:
        now = self._now_ms()
        for job, token in _groups(rest, 2):
            if job in lost:
                continue
            held = self.leases.get(job)
            if held is None or held.token != token:
                self._blame(f"{job!r} was renewed for {token!r}, and is held by {held}")
            else:
                held.until_ms = now + int(named["lease_ms"])
                self.taken.keep(job)
        self._look_at_gate(now)

    def _maintain(self, *_: Any) -> None:
        """A lease that a clock's going back made too long has its length again."""
        for lease in self.leases.values():
            lease.until_ms = min(lease.until_ms, self._now_ms() + LEASE_MS)

    def _finish(self, _: dict[str, bytes], rest: list[bytes], verdicts: list[int]) -> None:
        for end, verdict in zip(_groups(rest, 9), verdicts, strict=True):
            job, token, fence, verb = end[0], end[1], int(end[2]), end[3]
            held = self.leases.get(job)
            if verdict != 1:
                continue
            if held is None or held.token != token or held.fence != fence:
                self._blame(f"{job!r}: the end {verb!r} of {token!r} was written, and it is held by {held}")
                continue
            del self.leases[job]
            self.spent[job] -= verb in UNSPENT
            if verb in OVER:
                self._end(job, verb.decode())
                if b'"s":true' in end[5] or end[8].startswith(b"done"):
                    self.winners.add((job.decode(), fence))

    def _cancel(self, named: dict[str, bytes], _: list[bytes], reply: int) -> None:
        """A call that is sent again, as its answer was lost, is told the same."""
        if reply == 1 and self.cancels.get(named["id"]) != named["result"]:
            self.cancels[named["id"]] = named["result"]
            self.leases.pop(named["id"], None)
            self._end(named["id"], "cancelled")

    def _end(self, job: bytes, how: str) -> None:
        self.ends.setdefault(job, []).append(how)
        if len(self.ends[job]) > 1:
            self._blame(f"{job!r} ended more than once: {self.ends[job]}")

    def _look_at_gate(self, now: int) -> None:
        live = [job for job in self.gated if (held := self.leases.get(job)) and held.until_ms > now]
        for queue, count in Counter(self.gated[job] for job in live).items():
            if count > GATE:
                self._blame(
                    f"{count} jobs of {queue} have live leases under a gate of {GATE}: {sorted(live)}"
                )

    def _tick(
        self, script: str, named: dict[str, bytes], rest: list[bytes], reply: Any, state: bytes
    ) -> None:
        now = self._now_ms()
        match script:
            case "cron_tick":
                self.ticks.cron_tick(rest, reply, now)
            case "cron_flush":
                self.ticks.cron_flush(state, reply)
            case "cron_pause":
                name, is_paused = named["name"].decode(), named["paused"] == b"1"
                self.ticks.cron_pause(name, reply, now, is_paused=is_paused)
            case _:
                self.ticks.cron_put(named["name"].decode(), now)

    def _lock_acquire(self, named: dict[str, bytes], _: list[bytes], reply: list[Any]) -> None:
        now = self._now_ms()
        for (name, owner, _), fence in zip(_packed(named["asks"], 3), reply, strict=True):
            key = b"lock:" + name
            if key in self.locks and _later(owner, self.locks[key][0]):
                del self.locks[key]  # whoever asks has the job now: the lock is free, for those in line too
            if isinstance(fence, bytes):
                self._hold(key, owner, now, int(named["lease_ms"]))

    def _hold(self, key: bytes, owner: bytes, now: int, lease_ms: int) -> None:
        held = self.locks.get(key)
        if held is not None and held[0] != owner and held[1] > now:
            self._blame(f"{key!r} was given to {owner!r} while {held[0]!r} has it for {held[1] - now} ms")
        if held is not None and held[0] != owner and self._live_call(held[0]) in self._ledger.open.values():
            self.taken.look(key, *_job_of(held[0]))
        self.taken.keep(key)
        self.locks[key] = (owner, now + lease_ms)

    def _lock_release(self, named: dict[str, bytes], _: list[bytes], reply: list[int]) -> None:
        for (name, owner), verdict in zip(_packed(named["gives"], 2), reply, strict=True):
            if verdict and self.locks.get(b"lock:" + name, (b"", 0))[0] == owner:
                del self.locks[b"lock:" + name]

    def _keep_held(self, named: dict[str, bytes], _: list[bytes], reply: list[int]) -> None:
        for (key, owner), verdict in zip(_packed(named["holds"], 2), reply, strict=True):
            if verdict:
                self.taken.keep(key)
            if verdict and key.startswith(b"lock:"):
                self._hold(key, owner, self._now_ms(), int(named["lease_ms"]))

    def _idempotency_begin(self, named: dict[str, bytes], _: list[bytes], reply: list[Any]) -> None:
        words = {place: word for place, word, _data in _groups(reply, 3)}
        for place, (digest, _fp, owner) in enumerate(_packed(named["asks"], 3)):
            if words.get(place, b"new") in (b"new", b"recover") and digest in self.done:
                self._blame(f"the effect {digest[:8]!r} is done, and {owner!r} was told to make it")
            if words.get(place, b"new") in (b"new", b"recover"):
                self._begin(digest, owner)

    def _begin(self, digest: bytes, owner: bytes) -> None:
        before = self.records.get(digest, owner)
        if before != owner and not _later(owner, before) and self._live_call(before) is not None:
            self.shared[digest] += 1
            self.taken.look(b"once:" + digest, *_job_of(before))
        self.records[digest] = owner
        self.taken.keep(b"once:" + digest)

    def _idempotency_finish(self, named: dict[str, bytes], _: list[bytes], reply: list[int]) -> None:
        for (digest, _owner, state, _ms), verdict in zip(_packed(named["ends"], 4), reply, strict=True):
            if verdict == 1:
                self.records.pop(digest, None)
                if state == b"D":
                    self.done.add(digest)

    def _live_call(self, owner: bytes) -> Call | None:
        """Give the call of an owner if it goes on, or has come to its end and could not say so."""
        job, fence = _job_of(owner)
        call = self._ledger.call_of(job.decode(), fence)
        held = self.leases.get(job)
        if call is None or held is None or held.fence != fence or self._ledger.loop_of(call) is None:
            return None
        is_open = (call.job, call.fence) in self._ledger.open
        return call if is_open or call in self._ledger.well else None

    def _blame(self, what: str) -> None:
        self._ledger.blame(what)


def _groups(flat: list[Any], size: int) -> Iterator[list[Any]]:
    return (flat[at : at + size] for at in range(0, len(flat), size))


def _packed(argument: bytes, size: int) -> Iterator[list[Any]]:
    """Give what one argument carries, its texts as the bytes that all others are."""
    flat = [each.encode() if isinstance(each, str) else each for each in msgspec.msgpack.decode(argument)]
    return _groups(flat, size)


def _arguments(script: Script, command: list[bytes]) -> tuple[dict[str, bytes], list[bytes]]:
    """Give a script's arguments by name, and those that its last name takes as a list."""
    given = command[3 + len(script.keys) :]
    named = dict(zip(script.args, given, strict=False))
    return named, given[len(script.args) - 1 :] if script.has_rest else []


def _job_of(owner: bytes) -> tuple[bytes, int]:
    _token, fence, job = owner.split(b" ", 2)
    return job, int(fence)


def _later(owner: bytes, holder: bytes) -> bool:
    """Say whether an owner is a later attempt of the same job."""
    fence, job = owner.split(b" ")[1:3]
    old_fence, old_job = holder.split(b" ")[1:3]
    return job == old_job and int(fence) > int(old_fence)
