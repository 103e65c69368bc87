"""What a parent of worker processes decides: which start, which retire, which are killed."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from runner.cli.fleet import is_wanted
from runner.fleet.plan import LATE_S, START_S, Kill, Known, Policy, Retire, Spawn, decide, pause_s
from runner.settings import FleetGroup

POLICY = Policy(processes=2, grace_s=5)


def ready(pid: int, **what) -> Known:
    return Known(**{"pid": pid, "generation": 0, "age_s": 100 - pid, "is_ready": True, **what})


def test_as_many_start_as_are_missing() -> None:
    """From nothing, all start at once; after failures none does until the pause is over."""
    assert decide([], POLICY, may_spawn=True) == [Spawn(), Spawn()]
    assert decide([ready(1)], POLICY, may_spawn=True) == [Spawn()]
    assert decide([ready(1)], POLICY, may_spawn=False) == []
    assert decide([ready(1), ready(2)], POLICY, may_spawn=True) == []


def test_a_worn_process_is_replaced_before_it_retires() -> None:
    """First one more starts; while it starts nothing retires; once it is ready the worn one does, alone."""
    policy = replace(POLICY, max_jobs=10)
    both = [ready(1, jobs=10), ready(2, jobs=12)]
    assert decide(both, policy, may_spawn=True) == [Spawn()]
    assert decide([*both, ready(3, is_ready=False, age_s=1)], policy, may_spawn=True) == []
    assert decide([*both, ready(3)], policy, may_spawn=True) == [Retire(1, "it has begun 10 jobs")]
    assert decide([ready(1, jobs=10, retiring_s=1), both[1], ready(3)], policy, may_spawn=True) == [Spawn()]


def test_memory_age_and_sighup_wear_a_process_too() -> None:
    """Each limit says why; none is on by itself."""
    cases = [
        (replace(POLICY, max_memory=2**20), {"memory": 2**20}, "it takes 1 MiB"),
        (replace(POLICY, max_age_s=3600), {"age_s": 3600}, "it is 3600 s old"),
        (replace(POLICY, generation=1), {}, "the workers are being restarted"),
    ]
    for policy, what, why in cases:
        old = ready(1, **what)
        others = [ready(2, generation=1, age_s=1), ready(3, generation=1, age_s=1)]
        assert decide([old, *others], policy, may_spawn=True) == [Retire(1, why)]
        assert decide([old, others[0]], POLICY, may_spawn=True) == []


def test_with_fewer_wanted_the_youngest_retires() -> None:
    """SIGTTOU takes away the process that has least to lose."""
    assert decide([ready(1), ready(2), ready(3)], POLICY, may_spawn=True) == [
        Retire(3, "fewer processes are wanted")
    ]


def test_what_neither_starts_nor_ends_is_killed() -> None:
    """A start gets START_S, a drain the grace and LATE_S."""
    stuck = ready(1, is_ready=False, age_s=START_S + 1)
    late = ready(2, retiring_s=POLICY.grace_s + LATE_S + 1)
    kills = [each for each in decide([stuck, late], POLICY, may_spawn=False) if isinstance(each, Kill)]
    assert [each.pid for each in kills] == [1, 2]
    assert decide([ready(1, retiring_s=POLICY.grace_s), ready(3), ready(4)], POLICY, may_spawn=True) == []


def test_pauses_after_failures_double_to_half_a_minute() -> None:
    """0.5, 1, 2 … 30 s; none without a failure."""
    assert [pause_s(n) for n in range(9)] == [0, 0.5, 1, 2, 4, 8, 16, 30, 30]


@settings(max_examples=60)
@given(data=st.data(), processes=st.integers(1, 4), max_jobs=st.integers(0, 6))
def test_never_fewer_serve_than_wanted_once_they_did(data, processes: int, max_jobs: int) -> None:
    """However jobs wear processes out and whenever SIGHUP comes: recycling costs no capacity, and settles."""
    policy = Policy(processes=processes, grace_s=5, max_jobs=max_jobs)
    alive: list[Known] = []
    next_pid, has_served = 1, False
    for _ in range(40):
        for action in decide(alive, policy, may_spawn=True):
            match action:
                case Spawn():
                    alive.append(Known(pid=next_pid, generation=policy.generation, age_s=0))
                    next_pid += 1
                case Retire(pid):
                    alive = [replace(e, retiring_s=0.0) if e.pid == pid else e for e in alive]
                case Kill():
                    raise AssertionError(action)
        serving = sum(e.is_ready and e.retiring_s is None for e in alive)
        assert serving >= processes or not has_served
        assert len([e for e in alive if e.retiring_s is None]) <= processes + 1
        has_served = has_served or serving >= processes
        alive = [e for e in alive if e.retiring_s is None or data.draw(st.booleans())]
        alive = [
            replace(
                e,
                age_s=e.age_s + 0.1,
                is_ready=e.is_ready or data.draw(st.booleans()),
                jobs=e.jobs + data.draw(st.integers(0, 1)),
            )
            for e in alive
        ]
        if data.draw(st.integers(0, 9)) == 0:
            policy = replace(policy, generation=policy.generation + 1)


def test_a_service_manager_has_somebody_to_tell_it(monkeypatch):
    """Under Type=notify there is a parent also for one process: `auto` on a machine of one core."""
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    assert not is_wanted(FleetGroup(), "1")
    monkeypatch.setenv("NOTIFY_SOCKET", "/run/notify")
    assert is_wanted(FleetGroup(), "1")
