"""What the parent of worker processes does next: a pure function of what it knows of each.

A process is *starting* until it says that it serves, then *ready*; a *worn* one has done its share (jobs,
memory, age) or is of an older generation (SIGHUP), and a *retiring* one was told to drain. A worn process is
replaced first and retired once its replacement is ready, one at a time: recycling never leaves fewer than
were asked for.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

START_S = 60.0
"""A process that does not claim by then is stuck; it is killed, and counts as one that failed to start."""
LATE_S = 10.0
"""What a retiring process gets beyond the grace, to give back its jobs and close its connections."""
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
"""The pauses before the next start, after a process that died; they double while none gets to serve."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What is wanted.

    Attributes:
        processes: how many claim.
        grace_s: what running jobs get to end when their process retires.
        max_jobs: a process that began so many jobs is replaced; 0: never for that.
        max_memory: bytes resident from which it is replaced; 0: never for that.
        max_age_s: age from which it is replaced; 0: never for that.
        generation: a process of an earlier one is replaced.
    """

    processes: int
    grace_s: float
    max_jobs: int = 0
    max_memory: int = 0
    max_age_s: float = 0.0
    generation: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is known of a living process.

    Attributes:
        pid: of it.
        generation: under which it was started.
        age_s: since it was started.
        is_ready: it claims jobs.
        jobs: begun so far.
        memory: bytes resident; 0 where this system does not tell.
        retiring_s: since it was told to drain; None: it was not.
    """

    pid: int
    generation: int
    age_s: float
    is_ready: bool = False
    jobs: int = 0
    memory: int = 0
    retiring_s: float | None = None


@dataclass(frozen=True, slots=True)
class Spawn:
    """Start one more process."""


@dataclass(frozen=True, slots=True)
class Retire:
    """Tell a process to drain, and why."""

    pid: int
    why: str


@dataclass(frozen=True, slots=True)
class Kill:
    """End a process that does not end, and why."""

    pid: int
    why: str


Action = Spawn | Retire | Kill


def decide(known: Collection[Known], policy: Policy, *, may_spawn: bool) -> list[Action]:
    """Say what to do now.

    Args:
        known: every living process.
        policy: what is wanted.
        may_spawn: no pause after failed starts is on.
    """
    actions: list[Action] = [Kill(each.pid, why) for each in known if (why := overdue(each, policy.grace_s))]
    staying = sorted((each for each in known if each.retiring_s is None), key=lambda each: -each.age_s)
    worn = [(each, why) for each in staying if (why := wear(each, policy))]
    if missing := policy.processes - len(staying):
        if missing > 0 and may_spawn:
            actions += [Spawn()] * missing
        elif missing < 0:
            actions += _reduced(staying, worn, policy.processes)
    elif worn and may_spawn:
        actions.append(Spawn())
    return actions


def _reduced(staying: Sequence[Known], worn: Sequence[tuple[Known, str]], wanted: int) -> list[Action]:
    """Retire what is too much: worn ones once enough others claim, else the youngest."""
    surplus = len(staying) - wanted
    if not worn:
        return [Retire(each.pid, "fewer processes are wanted") for each in staying[-surplus:]]
    retired = worn[:surplus]
    gone = {each.pid for each, _ in retired}
    if sum(each.is_ready for each in staying if each.pid not in gone) < wanted:
        return []
    return [Retire(each.pid, why) for each, why in retired]


def wear(each: Known, policy: Policy) -> str:
    """Say why a process is to be replaced; empty when it is not."""
    if each.generation < policy.generation:
        return "the workers are being restarted"
    if 0 < policy.max_jobs <= each.jobs:
        return f"it has begun {each.jobs} jobs"
    if 0 < policy.max_memory <= each.memory and each.is_ready:
        return f"it takes {each.memory / 2**20:.0f} MiB"
    if 0 < policy.max_age_s <= each.age_s:
        return f"it is {each.age_s:.0f} s old"
    return ""


def overdue(each: Known, grace_s: float) -> str:
    """Say why a process has to be killed; empty when it has not."""
    if each.retiring_s is not None:
        late = each.retiring_s > grace_s + LATE_S
        return f"it did not end within {grace_s:g} s" if late else ""
    return f"it did not start within {START_S:g} s" if not each.is_ready and each.age_s > START_S else ""


def pause_s(failures: int) -> float:
    """Give the seconds before another start, after so many deaths since one last served; 0 for none."""
    return min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** min(failures - 1, 10)) if failures else 0.0
