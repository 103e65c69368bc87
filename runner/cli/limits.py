"""``runner limits``: see limits, weights and gates, and change them for all workers at once."""

import json
import sys
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, NoReturn, TypeVar

import typer

from ..breaker_rules import BreakerNumbers, numbers_of
from ..gates import GateState
from ..lane_rules import ConcurrencyLimit
from ..limits import Limit, Limits
from .connected import run
from .showing import print_jsonl, print_table

T = TypeVar("T")

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, add_completion=False)

MOST_GATES = 1000
Key = Annotated[str, typer.Argument(help="Of a gate, as a breaker makes it: host:example.com.")]
Name = Annotated[str, typer.Argument(help="Of a limit as its task names it, or of one of its buckets.")]
AsJson = Annotated[bool, typer.Option("--json", help="One object a limit and line.")]


@app.command("set")
def set_(
    name: Name,
    rate: Annotated[str, typer.Argument(help="So many in a period: 50/s, 10/m, 1/30s.")],
    burst: Annotated[int | None, typer.Option(help="At once at most; left out: the rate's count.")] = None,
) -> None:
    """Set a rate for all workers; the next take sees it. For how many at once: runner limits concurrency."""
    limit = _run(lambda limits: limits.set(name, rate, burst=burst))
    print(_line(limit))


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """List limits and breakers: of tasks, of settings, set at run time; and the gates that hold jobs up."""

    async def read(limits: Limits) -> tuple[Any, Any, Any, Any]:
        states = await limits.states(most=MOST_GATES)
        return await limits.list(), await limits.concurrency(), await limits.breakers(), states

    rates, counts, breakers, gates = _run(read)
    if as_json:
        print_jsonl([*map(_plain, rates), *map(_plain_count, counts)])
        for each in breakers:
            _print_breaker(each, as_json=True)
    else:
        rows = [(limit.name, _rate(limit), limit.source, "") for limit in rates]
        rows += [(count.name, _at_once(count), count.source, str(count.running)) for count in counts]
        rows += [(each.name, _opens(each), each.source, "") for each in breakers]
        print_table(("limit", "allows", "said by", "running"), rows)
    _print_gates(gates, as_json=as_json)


@app.command()
def show(
    name: Name,
    bucket: Annotated[str | None, typer.Option(help="One of its buckets, as host:example.com.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show a limit: its rate, who set it, the tokens that are left, the line; and the gates of that key."""

    async def read(limits: Limits) -> tuple[Limit | None, Any, list[GateState]]:
        return await limits.get(name), await limits.standing(name, bucket=bucket), await limits.states(name)

    limit, standing, gates = _run(read)
    if limit is None and not gates:
        _not_found(f"there is no limit or gate '{name}'; runner limits list shows them")
    if limit is not None:
        _print_limit(limit, standing, as_json=as_json)
    _print_gates(gates, as_json=as_json)


@app.command()
def pause(
    key: Key,
    for_: Annotated[str, typer.Argument(metavar="TIME", help="A number and a unit: 30s, 5m, 2h.")],
    why: Annotated[str, typer.Option(help="What the jobs that wait say.")] = "paused by hand",
) -> None:
    """Let no job through the gates of a key for so long; no attempt is spent meanwhile."""
    _print_gates(_run(lambda limits: _then_look(limits, key, limits.pause(key, for_, why=why))))


@app.command()
def resume(key: Key) -> None:
    """Let jobs through the gates of a key again, now, in growing numbers."""
    _print_gates(_run(lambda limits: _then_look(limits, key, limits.resume(key))))


@app.command()
def reset(key: Key) -> None:
    """Let all jobs through the gates of a key, now, and forget that anything was wrong."""
    _print_gates(_run(lambda limits: _then_look(limits, key, limits.reset(key))))


async def _then_look(limits: Limits, key: str, act: Awaitable[None]) -> list[GateState]:
    await act
    return await limits.states(key)


def _print_limit(limit: Limit, standing: Any, *, as_json: bool) -> None:
    if as_json:
        more = {"tokens": None, "line_s": None, "rate_now": None}
        if standing is not None:
            more = {"tokens": standing.tokens, "line_s": standing.line_s, "rate_now": str(standing.rate)}
        print(json.dumps({**_plain(limit), **more}, ensure_ascii=False))
        return
    print(_line(limit))
    if standing is not None:
        if standing.rate != limit.rate:
            print(f"{standing.rate} now: the other side asked for less, and it rises again")
        print(f"{standing.tokens} tokens left; line: {standing.line_s:.3f} s")


@app.command()
def remove(name: Name) -> None:
    """Take back what was set at run time; settings, or the task, say the rate again."""
    if not _run(lambda limits: limits.remove(name)):
        _not_found(f"nothing was set for '{name}' at run time")
    print(f"{name} removed")


@app.command()
def concurrency(
    name: Name,
    limit: Annotated[
        int | None, typer.Argument(help="Jobs at once, in each queue; 0 lets nobody start.")
    ] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Take back what was set at run time.")] = False,
) -> None:
    """Set how many jobs run at once, for all workers; the next claim sees it. Without a number: show it."""
    if remove:
        if not _run(lambda limits: limits.remove_concurrency(name)):
            _not_found(f"nothing was set for '{name}' at run time")
        print(f"{name} removed")
        return

    async def act(limits: Limits) -> list[ConcurrencyLimit]:
        if limit is not None:
            await limits.set_concurrency(name, limit)
        return await limits.concurrency()

    found = [each for each in _run(act) if each.name == name]
    if not found:
        _not_found(f"there is no concurrency limit '{name}'; runner limits list shows them")
    print(_count_line(found[0]))


@app.command()
def breaker(
    name: Annotated[str, typer.Argument(help="Of a breaker as its task names it, or of one of its gates.")],
    numbers: Annotated[
        list[str] | None, typer.Argument(metavar="NUMBER=VALUE…", help="Such as open_after=10 open_for=60s.")
    ] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Take back what was set at run time.")] = False,
    as_json: AsJson = False,
) -> None:
    """Set numbers of a breaker, for all workers; the next report sees them. Without any: show them."""
    if remove:
        if not _run(lambda limits: limits.remove_breaker(name)):
            _not_found(f"nothing was set for breaker '{name}' at run time")
        print(f"{name} removed")
        return

    async def act(limits: Limits) -> list[BreakerNumbers]:
        return [await limits.set_breaker(name, **numbers_of(numbers))] if numbers else await limits.breakers()

    found = [each for each in _run(act) if each.name == name]
    if not found:
        _not_found(f"there is no breaker '{name}'; runner limits list shows them")
    _print_breaker(found[0], as_json=as_json)


def _print_breaker(breaker: BreakerNumbers, *, as_json: bool) -> None:
    if as_json:
        plain = {"breaker": breaker.name, **breaker.numbers, "set": sorted(breaker.set_now)}
        print(json.dumps(plain, ensure_ascii=False))
        return
    print(breaker.name)
    rows = [
        (word, "none" if value is None else f"{value:g}", "run time" if word in breaker.set_now else "task")
        for word, value in breaker.numbers.items()
    ]
    print_table(("number", "is", "said by"), rows)


@app.command()
def weight(
    tenant: Annotated[str, typer.Argument(help="Empty: the jobs without a tenant.")],
    weight: Annotated[float | None, typer.Argument(help="Its share of turns; everybody else has 1.")] = None,
) -> None:
    """Set a tenant's weight, for all workers; the next claim sees it. Without a number: 1 again."""
    if weight is None:
        if not _run(lambda limits: limits.remove_weight(tenant)):
            _not_found(f"no weight was set for '{tenant}'")
        print(f"'{tenant}' has weight 1")
        return
    _run(lambda limits: limits.set_weight(tenant, weight))
    print(f"'{tenant}' has weight {weight:g}")


def _run(act: Callable[[Limits], Awaitable[T]]) -> T:
    return run(lambda runner: act(runner.limits))


def _line(limit: Limit) -> str:
    return f"{limit.name}  {_rate(limit)}  ({limit.source})"


def _rate(limit: Limit) -> str:
    return "no rate" if limit.rate is None else f"{limit.rate}, burst {limit.rate.burst}"


def _count_line(count: ConcurrencyLimit) -> str:
    return f"{count.name}  {_at_once(count)}  ({count.source}), {count.running} now"


def _at_once(count: ConcurrencyLimit) -> str:
    return "no limit" if count.limit is None else f"{count.limit} at once"


def _opens(breaker: BreakerNumbers) -> str:
    numbers = breaker.numbers
    return f"breaker, opens after {numbers['open_after']:g} in a row, for {numbers['open_for']:g} s"


def _plain_count(count: ConcurrencyLimit) -> dict[str, Any]:
    return {"name": count.name, "concurrency": count.limit, "source": count.source, "running": count.running}


def _plain(limit: Limit) -> dict[str, Any]:
    rate = limit.rate
    return {
        "name": limit.name,
        "rate": None if rate is None else str(rate),
        "burst": None if rate is None else rate.burst,
        "source": limit.source,
    }


def _print_gates(gates: list[GateState], *, as_json: bool = False) -> None:
    for gate in gates:
        if as_json:
            print(json.dumps({"gate": gate.key, **{n: getattr(gate, n) for n in _GATE}}, ensure_ascii=False))
            continue
        left = f" for {gate.closed_for_s:.1f} s" if gate.closed_for_s else ""
        most = "" if gate.most is None else f", {gate.most} at once" + (" then" if left else "")
        why = f": {gate.why}" if gate.why else ""
        print(f"{gate.key}  gate of {gate.queue} {gate.state.replace('_', ' ')}{left}{most}{why}")


_GATE = ("queue", "state", "closed_for_s", "most", "why")


def _not_found(message: str) -> NoReturn:
    print(message, file=sys.stderr)
    raise typer.Exit(4)
