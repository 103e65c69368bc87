"""Where and when a call of a task is put: what ``task.using(…)`` sets, as one value."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from .errors import Delay, InvalidJob, seconds
from .lanes import checked_priority, checked_tenant
from .shards import whole

LONGEST_KEY = 1024
LONGEST_QUEUE = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Where and when a call is put.

    Attributes:
        queue: name of the queue; None for the task's own.
        key: the job's id; None for a random one. The same key twice is one job.
        delay_s: seconds from now, by the server's clock.
        until: an aware datetime from which the job is due; None for at once.
        priority: 0 is the most urgent, 9 the least; None for the task's.
        tenant: whose job it is; None for what the task says.
        expires_s: the job ends as ``expired`` if it has not started this many seconds after it is due.
    """

    queue: str | None = None
    key: str | None = None
    delay_s: float = 0.0
    until: datetime | None = None
    expires_s: float | None = None
    priority: int | None = None
    tenant: str | None = None

    def but(
        self,
        task: str,
        *,
        queue: str | None = None,
        key: str | None = None,
        delay: Delay | None = None,
        until: datetime | None = None,
        expires: Delay | None = None,
        priority: int | None = None,
        tenant: str | None = None,
    ) -> "Placement":
        """Give this placement with what is not None put in its place.

        Raises:
            InvalidJob: names the task and what was wrong.
        """
        try:
            made = replace(
                self,
                queue=self.queue if queue is None else checked_queue(queue),
                key=self.key if key is None else checked_key(key),
                delay_s=self.delay_s if delay is None else seconds(delay),
                until=self.until if until is None else _aware(until),
                expires_s=self.expires_s if expires is None else seconds(expires),
                priority=self.priority if priority is None else checked_priority(priority),
                tenant=self.tenant if tenant is None else checked_tenant(tenant),
            )
        except (TypeError, ValueError, OverflowError) as error:
            msg = f"task '{task}': {error}"
            raise InvalidJob(msg) from None
        if made.delay_s and made.until:
            msg = f"task '{task}': give either delay= or until=, not both"
            raise InvalidJob(msg)
        return made


def checked_key(key: Any) -> str:
    """Give a job's id that can be part of a key on the server.

    Raises:
        ValueError: says what an id may be.
    """
    if not _is_text(key, LONGEST_KEY):
        msg = f"a key is text of 1 to {LONGEST_KEY} characters without control characters, not {_short(key)}"
        raise ValueError(msg)
    return key


def checked_queue(queue: Any) -> str:
    """Give a queue's name that can be part of a key on the server.

    Raises:
        ValueError: says what a name may be.
    """
    is_text = _is_text(queue, LONGEST_QUEUE) and not any(c in "{}" or c.isspace() for c in queue)
    if not is_text:
        what = f"text of 1 to {LONGEST_QUEUE} characters without spaces and braces"
        msg = f"a queue's name is {what}, not {_short(queue)}"
        raise ValueError(msg)
    if (of := whole(queue)) != queue:
        msg = f"{queue!r} names a shard (~ and a number): the queue is {of!r}, which chooses one itself"
        raise ValueError(msg)
    return queue


def checked_name(name: Any) -> str:
    """Give a task's name that can be printed.

    Raises:
        ValueError: says what a name may be.
    """
    if not isinstance(name, str) or not name.isprintable() or not name:
        msg = f"name= must be printable text, not {name!r}"
        raise ValueError(msg)
    return name


def positive(name: str, delay: Delay | None) -> float | None:
    """Give a limit in seconds; None for none.

    Raises:
        ValueError: it is not above zero.
    """
    if delay is None:
        return None
    value = seconds(delay)
    if value == 0:
        msg = f"{name} must be more than 0 seconds; leave it out for no limit"
        raise ValueError(msg)
    return value


def _is_text(value: Any, longest: int) -> bool:
    if not isinstance(value, str) or not 0 < len(value) <= longest:
        return False
    return not any(c < " " or c == "\x7f" or "\ud800" <= c <= "\udfff" for c in value)


def _short(value: Any) -> str:
    text = ascii(value)
    return text if len(text) <= 40 else text[:39] + "…"


def _aware(moment: Any) -> datetime:
    if not isinstance(moment, datetime) or moment.tzinfo is None:
        msg = f"until= needs an aware datetime, not {moment!r}: add a tzinfo"
        raise ValueError(msg)
    return moment
