"""Where a ready job stands: its tenant, its priority, and the gates that it has to pass.

@task(concurrency=Concurrency("host:{url.host}", 10), tenant="{account}", priority=3)

A *lane* is the line of ready jobs that share a tenant and gates; in it they stand by priority and due time. A
*gate* lets so many jobs pass at once, over all workers of a queue: each holds a slot of it while leased.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Literal, NamedTuple

from .breaker import Breaker
from .errors import InvalidArguments
from .key_names import Key, bucket_of, call, checked_limit, fields_of, name_of, one_or_more, refuse_unknown

DEFAULT_PRIORITY = 5
LEAST_URGENT = 9
MAX_GATES = 4

OnFull = Literal["wait", "skip", "cancel_oldest"]
ON_FULL: tuple[OnFull, ...] = ("wait", "skip", "cancel_oldest")

_BETWEEN = "\x1f"
"""Stands between the parts of a spec, so no part holds it."""


class Gate(NamedTuple):
    """One gate of one job: its key on the server, the limit that says how many pass (empty: none)."""

    key: str
    limit: str = ""
    on_full: OnFull = "wait"


@dataclass(frozen=True, slots=True)
class Lane:
    """Where a job stands when it is ready."""

    tenant: str = ""
    priority: int = DEFAULT_PRIORITY
    gates: tuple[Gate, ...] = ()

    @property
    def spec(self) -> str:
        """The form in which scripts know it; empty for a job that stands in no lane."""
        if self == Lane():
            return ""
        return _BETWEEN.join(
            [str(self.priority), self.tenant, *(part for gate in self.gates for part in gate)]
        )


@dataclass(frozen=True, slots=True, init=False)
class Concurrency:
    """At most so many jobs run at once, over all workers; a slot is held exactly as long as the job's lease.

    Attributes:
        name: of the limit, by which it is changed at run time; may hold the task's parameters in braces, as a
            RateLimit's. Each name that comes out is counted by itself, in each queue by itself.
        limit: how many; None: settings or run time say it, and until then there is no limit.
        key: gives what tells them apart out of the task's arguments, by their names; instead of braces.
        on_full: ``wait`` for a slot; ``skip`` ends the job as succeeded with SKIPPED as its result;
            ``cancel_oldest`` cancels the job that has had a slot for longest, and waits until it is gone.
    """

    name: str
    limit: int | None
    key: Key | None
    on_full: OnFull

    def __init__(
        self,
        name: str,
        limit: int | None = None,
        *,
        key: Key | None = None,
        on_full: OnFull = "wait",
    ) -> None:
        where = f"Concurrency({name!r})"
        try:
            fields_of(checked_limit(name))
            given = None if limit is None else checked_count(limit)
        except ValueError as error:
            msg = f"{where}: {error}"
            raise ValueError(msg) from None
        if key is not None and not callable(key):
            msg = f"{where}: key= is a function of the task's arguments, not {key!r}"
            raise TypeError(msg)
        if on_full not in ON_FULL:
            msg = f"{where}: on_full= is one of {', '.join(ON_FULL)}, not {on_full!r}"
            raise ValueError(msg)
        values = {"name": name, "limit": given, "key": key, "on_full": on_full}
        for attribute, value in values.items():
            object.__setattr__(self, attribute, value)

    def check(self, parameters: Iterable[str]) -> None:
        """Refuse fields and a function that ask for what is none of the task's parameters.

        Raises:
            ValueError: names what it asks for, and the parameters.
        """
        refuse_unknown(f"Concurrency({self.name!r})", self.name, (self.key,), parameters)

    def gate(self, named: Mapping[str, Any]) -> Gate:
        """Give the gate of one call."""
        return Gate(part_of(name_of(self.name, self.key, named)), self.name, self.on_full)


Concurrencies = Concurrency | Sequence[Concurrency]
Tenant = str | Callable[..., Any]
"""Text, with the task's parameters in braces, or a function of them; empty or None: no tenant."""


@dataclass(frozen=True, slots=True)
class Laning:
    """What a task declares about the lanes of its jobs; true when it declares anything.

    Attributes:
        priority: 0 is the most urgent, 9 the least.
        tenant: whose jobs they are.
        concurrency: limits; a job holds a slot of all or of none.
        breakers: whose gates a job passes, too.
    """

    priority: int = DEFAULT_PRIORITY
    tenant: Tenant = ""
    concurrency: tuple[Concurrency, ...] = ()
    breakers: tuple[Breaker, ...] = ()

    def __bool__(self) -> bool:
        has_gates = bool(self.concurrency or self.breakers)
        return has_gates or bool(self.tenant) or self.priority != DEFAULT_PRIORITY

    def check(self, parameters: Iterable[str]) -> None:
        """Refuse what asks for something that is none of the task's parameters.

        Raises:
            ValueError: names what is asked for, and the parameters.
        """
        known = list(parameters)
        for limit in self.concurrency:
            limit.check(known)
        template, function = (self.tenant, None) if isinstance(self.tenant, str) else ("", self.tenant)
        refuse_unknown("tenant=", template, (function,), known)

    def lane(
        self, task: str, named: Mapping[str, Any], *, priority: int | None = None, tenant: str | None = None
    ) -> Lane:
        """Give the lane of one call; what was said for the job itself goes before what the task declares.

        Raises:
            InvalidArguments: they give no tenant or no gate.
        """
        try:
            if tenant is None:
                whose = self.tenant
                tenant = name_of(whose, None, named) if isinstance(whose, str) else call(whose, named)
            gates = {gate.key: gate for gate in (limit.gate(named) for limit in self.concurrency)}
            for breaker in self.breakers:
                key = part_of(breaker.gate(task, named))
                gates.setdefault(key, Gate(key))
            tenant = "" if tenant is None else part_of(str(tenant))
            return Lane(tenant, self.priority if priority is None else priority, tuple(gates.values()))
        except InvalidArguments:
            raise
        except Exception as error:
            msg = f"task '{task}': its tenant or concurrency key cannot be made of its arguments: {error}"
            raise InvalidArguments(msg) from error


NO_LANING = Laning()


def laning_of(
    priority: int, tenant: Tenant, concurrency: Concurrencies, breakers: tuple[Breaker, ...] = ()
) -> Laning:
    """Give what ``priority=``, ``tenant=``, ``concurrency=`` and ``breaker=`` of a task declare.

    Raises:
        TypeError: one of them is something else.
        ValueError: a priority or a tenant that cannot be, or too many limits.
    """
    limits = one_or_more("concurrency", Concurrency, concurrency)
    if len(limits) + len(breakers) > MAX_GATES:
        msg = (
            f"concurrency= and breaker= take at most {MAX_GATES} together, not {len(limits) + len(breakers)}"
        )
        raise ValueError(msg)
    if not isinstance(tenant, str) and not callable(tenant):
        msg = f"tenant= is text or a function of the task's arguments, not {tenant!r}"
        raise TypeError(msg)
    if isinstance(tenant, str):
        fields_of(tenant)
    return Laning(checked_priority(priority), tenant, limits, breakers)


def checked_priority(priority: Any) -> int:
    """Refuse what is no priority.

    Raises:
        ValueError: says what one is.
    """
    if not isinstance(priority, int) or isinstance(priority, bool) or not 0 <= priority <= LEAST_URGENT:
        msg = f"a priority is a whole number from 0 (most urgent) to {LEAST_URGENT}, not {priority!r}"
        raise ValueError(msg)
    return priority


def checked_tenant(tenant: Any) -> str:
    """Give a tenant's name as it stands in a spec.

    Raises:
        ValueError: it is no text, or cannot be encoded.
    """
    if not isinstance(tenant, str):
        msg = f"a tenant is text, not {tenant!r}"
        raise ValueError(msg)
    return part_of(tenant)


def checked_count(limit: Any) -> int:
    """Refuse what cannot be a number of jobs at once.

    Raises:
        ValueError: says what can.
    """
    if not isinstance(limit, int) or isinstance(limit, bool) or not 0 <= limit < 10**9:
        msg = f"a concurrency limit is a whole number, 0 lets nobody pass, not {limit!r}"
        raise ValueError(msg)
    return limit


def part_of(name: str) -> str:
    """Give a tenant's or a gate's name as it stands in a spec: short, and without control characters.

    Raises:
        InvalidArguments: it is text that cannot be encoded.
    """
    key = bucket_of(name)
    return key if all(c >= " " for c in key) else f"sha256:{sha256(name.encode()).hexdigest()}"
