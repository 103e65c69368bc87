"""A schedule as bytes on the server, for those that are made at run time."""

from typing import Any

import msgspec

from ..json_values import encode_rich
from .schedule import CatchUp, CronRule, IntervalRule, Overlap, Rule, Schedule


class _Definition(msgspec.Struct, omit_defaults=True, frozen=True):
    task: str
    cron: str = ""
    tz: str = "UTC"
    every_ms: int = 0
    anchor_ms: int = 0
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    version: int = 1
    queue: str = "default"
    catch_up: CatchUp = "latest"
    misfire_grace_s: float = 3600.0
    overlap: Overlap = "skip"
    max_instances: int = 0
    expires_s: float | None = None
    until_ms: int | None = None
    count: int | None = None
    jitter_s: float = 0.0


_encoder = msgspec.json.Encoder(enc_hook=encode_rich)
_decoder = msgspec.json.Decoder(_Definition)
_SAME = (
    "version",
    "queue",
    "catch_up",
    "misfire_grace_s",
    "overlap",
    "max_instances",
    "expires_s",
    "until_ms",
    "count",
)


def encode_schedule(schedule: Schedule) -> bytes:
    """Give the bytes of a schedule; its name is the field they stand under."""
    rule = schedule.rule
    ruled: dict[str, Any] = {}
    if isinstance(rule, CronRule):
        ruled = {"cron": rule.expression, "tz": rule.tz}
    elif isinstance(rule, IntervalRule):
        ruled = {"every_ms": rule.every_ms, "anchor_ms": rule.anchor_ms}
    same = {name: getattr(schedule, name) for name in _SAME}
    call = {"task": schedule.task, "args": list(schedule.args), "kwargs": dict(schedule.kwargs)}
    return _encoder.encode(_Definition(**call, **ruled, **same, jitter_s=schedule.jitter_s))


def decode_schedule(name: str, data: bytes) -> Schedule:
    """Read a schedule.

    Raises:
        ValueError: the bytes are something else.
    """
    try:
        read = _decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        msg = f"the definition of schedule '{name}' cannot be read: {error}"
        raise ValueError(msg) from None
    rule: Rule = CronRule(read.cron, read.tz) if read.cron else IntervalRule(read.every_ms, read.anchor_ms)
    same = {option: getattr(read, option) for option in _SAME}
    return Schedule(
        name=name,
        rule=rule,
        task=read.task,
        args=read.args,
        kwargs=read.kwargs,
        jitter_s=read.jitter_s,
        **same,
    )
