"""Two versions of a task at once, as in a rolling deploy: nothing is lost, nothing gets wrong arguments."""

import json
from typing import Any

import pytest

from runner import task
from runner.client.entry import payload_of
from runner.dead_letters.edit import Edit, edited_payload
from runner.errors import InvalidArguments, InvalidTask
from runner.inspector.presence import worker_of
from runner.registry import Registry
from runner.wire import codec, keys
from runner.wire.scripts import Entry


def upcast(args: list[Any], kwargs: dict[str, Any], version: int) -> tuple[list[Any], dict[str, Any]]:
    """1: charge(cents); 2: charge(cents, currency); 3: charge(amount)."""
    if version == 1:
        return [*args, "EUR"], kwargs
    return [{"cents": args[0], "currency": args[1]}], kwargs


@task(name="charge")
async def first(ctx: Any, cents: int) -> str:
    return f"1: {cents}"


@task(name="charge", version=2, upcast=upcast)
async def second(ctx: Any, cents: int, currency: str) -> str:
    return f"2: {cents} {currency}"


@task(name="charge", version=3, upcast=upcast)
async def third(ctx: Any, amount: dict[str, Any]) -> str:
    return f"3: {amount['cents']} {amount['currency']}"


def payload(declared: Any, *args: Any) -> bytes:
    return payload_of(declared, args, {}, now_ms=1, meta=codec.Meta(), limit=10_000)


async def put(yard: Any, job: str, declared: Any, *args: Any) -> None:
    await yard.scripts.enqueue(yard.keys, [Entry(job, 0, 0, payload(declared, *args))])


def test_a_payload_says_of_which_version_it_is() -> None:
    """Only from version 2 on: the others are as they always were."""
    assert "m" not in json.loads(payload(first, 5)) or "r" not in json.loads(payload(first, 5))["m"]
    assert json.loads(payload(third, {"cents": 5}))["m"] == {"r": 3}


async def test_a_newer_worker_takes_old_jobs_up_step_by_step(yard: Any) -> None:
    """Each step gets what the one before gave."""
    await put(yard, "a", first, 5)
    await put(yard, "b", second, 6, "CHF")
    await put(yard, "c", third, {"cents": 7, "currency": "USD"})
    await yard.drain(third)
    found = [(await yard.result(job))["r"] for job in "abc"]
    assert found == ["3: 5 EUR", "3: 6 CHF", "3: 7 USD"]


async def test_an_older_worker_leaves_new_jobs_to_newer_ones(yard: Any, wait_until: Any) -> None:
    """It snoozes them without spending an attempt; old and new jobs all run once a new worker is there."""
    for number in range(4):
        await put(yard, f"new{number}", third, {"cents": number, "currency": "EUR"})
        await put(yard, f"old{number}", first, number)
    options = {"unknown_task_grace_s": 600}
    async with yard.serving(first, options={**options, "name": "old"}) as older:
        await wait_until(lambda: older.jobs_complete == 4 and older.jobs_retried == 4, "it has seen all")
        assert older.jobs_failed == 0
    async with yard.serving(third, options={**options, "name": "new"}) as newer:
        await wait_until(lambda: newer.jobs_complete == 4, "the new ones ran")
        said = worker_of("new", 0, await yard.redis.get(keys.worker("new")))
        assert said.more["versions"] == {"charge": 3}
    found = {job: (await yard.result(job))["r"] for job in [f"new{n}" for n in range(4)]}
    assert found == {f"new{n}": f"3: {n} EUR" for n in range(4)}
    assert [(await yard.result(f"old{n}"))["r"] for n in range(4)] == [f"1: {n}" for n in range(4)]
    assert (await yard.result("new0"))["t"] == 1


async def test_a_job_that_no_worker_is_new_enough_for_is_dead_in_the_end(yard: Any) -> None:
    """After the grace, with both versions in its error."""
    await put(yard, "a", third, {})
    await yard.drain(first)
    assert (await yard.letter("a"))["reason"] == "unknown_task"
    message = (await yard.result("a"))["r"]["$error"]["message"]
    assert message == "no version 3 of task 'charge': this worker knows 1"


async def test_an_upcast_that_fails_costs_the_job_nothing_but_a_replay(yard: Any) -> None:
    """It is a dead letter that says which step failed; its arguments are as they were enqueued."""

    def broken(args: Any, kwargs: Any, version: int) -> Any:
        raise KeyError("currency")

    @task(name="charge", version=2, upcast=broken)
    async def charge(ctx: Any, cents: int) -> None: ...

    await put(yard, "a", first, 5)
    await yard.drain(charge)
    letter = await yard.letter("a")
    assert (letter["reason"], json.loads(letter["payload"])["a"]) == ("invalid_arguments", [5])
    assert "upcast from version 1: KeyError" in (await yard.result("a"))["r"]["$error"]["message"]


def test_an_edited_letter_is_of_the_version_it_was_edited_by() -> None:
    """Its arguments are taken up first; those of a newer version cannot be edited here."""

    class Letter:
        id, task, payload, args, kwargs = "a", "charge", payload(first, 5), [5], {}

    edited = json.loads(edited_payload(Letter(), Edit(values={"currency": "CHF"}), Registry([second])))
    assert (edited["a"], edited["m"]["r"]) == ([5, "CHF"], 2)
    Letter.payload, Letter.args = payload(third, {}), [{}]
    with pytest.raises(InvalidArguments, match="of version 3, and it is 2 here"):
        edited_payload(Letter(), Edit(values={"cents": 1}), Registry([second]))


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"version": 0}, "version= is a whole number from 1, not 0"),
        ({"version": True}, "version= is a whole number from 1, not True"),
        ({"version": 2, "upcast": "fn"}, "upcast= is a function"),
        ({"upcast": upcast}, "upcast= needs a version= above 1"),
    ],
)
def test_a_version_is_a_number_from_one(options: dict[str, Any], complaint: str) -> None:
    """What cannot be is said where the task is declared."""

    async def charge(ctx: Any) -> None: ...

    with pytest.raises(InvalidTask, match=complaint):
        task(**options)(charge)
