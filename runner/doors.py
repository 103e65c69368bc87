"""What a connected runner opens beside its client: each door reads or administers one thing."""

from abc import ABC, abstractmethod
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, TypeVar, Unpack

from .client import Client
from .dead_letters import DeadLetters
from .destinations import DestinationDoor
from .errors import Delay
from .explain import Explanation
from .health import Health
from .inspector import Inspector
from .lane_rules import known_limits
from .limits import Limits
from .parts import Part
from .queues import Queues
from .registry import Registry
from .schedules.door import Schedules
from .schedules.schedule import Schedule
from .settings import Settings
from .wire.keys import Keys, keys_of
from .workflow.door import StartOptions, Workflows
from .workflow.handle import Workflow

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

    from .outbox import Outbox, Outboxes, Relay

R = TypeVar("R")


class Doors(ABC):
    """The part of a Runner that opens doors; settings, client, tasks and schedules are the Runner's.

    Attributes:
        settings: the runner's.
    """

    settings: Settings
    _health: Health | None = None
    _outboxes: "Outboxes | None" = None

    @property
    @abstractmethod
    def client(self) -> Client:
        """The connected client."""
        ...

    @property
    @abstractmethod
    def registry(self) -> Registry:
        """The tasks."""
        ...

    @property
    @abstractmethod
    def declared_schedules(self) -> list[Schedule]:
        """The declared schedules."""
        ...

    @property
    def dead(self) -> DeadLetters:
        """The dead letters of the queues in settings, inside ``async with runner``."""
        settings = self.settings
        return DeadLetters(
            self.client.execute,
            queues=settings.shards.all(settings.worker.queues),
            layout=settings.redis.key_layout,
            registry=lambda: self.registry,
            by="api",
        )

    @property
    def schedules(self) -> Schedules:
        """The schedules, declared and made at run time, inside ``async with runner``."""
        settings = self.settings
        return Schedules(
            self.client.execute,
            queues=settings.worker.queues,
            layout=settings.redis.key_layout,
            registry=self.registry,
            declared=self.declared_schedules,
        )

    @property
    def inspector(self) -> Inspector:
        """What there is: queues, jobs, workers; inside ``async with runner``."""
        queues = self.settings.shards.all(self.settings.worker.queues)
        layout = self.settings.redis.key_layout
        return Inspector(self.client.execute, info=self.client.info, queues=queues, layout=layout)

    @property
    def queues(self) -> Queues:
        """What may be done to queues and waiting jobs, inside ``async with runner``."""
        return Queues(self.client, self.inspector, self.dead, registry=lambda: self.registry, by="api")

    async def explain(self, job_id: str, *, queue: str | None = None) -> Explanation:
        """Say why a job, of whichever queue, does not run; see ``Job.explain``.

        Raises:
            UnknownQueue: settings name no such queue.
            UnknownJob: there is none of that id: never enqueued, or ended and its result is not kept.
        """
        found = await self.inspector.job(job_id, queue=queue)
        return await self.client.explain(found.info.queue, job_id)

    @property
    def limits(self) -> Limits:
        """Limits, weights and gates, inside ``async with runner``: take by hand, change for all workers."""
        settings = self.settings
        return Limits(
            self.client.execute,
            layout=settings.redis.key_layout,
            settings={name: table.as_rate() for name, table in settings.rate_limits.items()},
            declared=[limit for task in self.registry for limit in task.rate_limits],
            queues=self._called_from,
            concurrency=known_limits(settings, self.registry),
            breakers=[each for task in self.registry for each in task.laning.breakers],
        )

    @property
    def destinations(self) -> DestinationDoor:
        """How well the other sides are that jobs call, inside ``async with runner``."""
        return DestinationDoor(self.client.execute, self._called_from)

    @property
    def _called_from(self) -> list[Keys]:
        """The shards of the queues of settings, and of those that tasks name."""
        settings = self.settings
        names = dict.fromkeys([*settings.worker.queues, *(task.queue for task in self.registry)])
        return [keys_of(at, settings.redis.key_layout) for at in settings.shards.all(names)]

    @property
    def health(self) -> Health:
        """Metrics, readiness and scale of this process and its queues, inside ``async with runner``."""
        if self._health is None:
            self._health = Health(
                lambda: self.client.execute,
                queues=self.settings.shards.all(self.settings.worker.queues),
                layout=self.settings.redis.key_layout,
                tasks=lambda: [task.name for task in self.registry],
                max_jobs=self.settings.worker.max_jobs,
            )
        return self._health

    def outbox(self, session: "AsyncSession") -> "Outbox":
        """Give what enqueues into a session's transaction, inside ``async with runner``.

        Raises:
            MissingExtra: SQLAlchemy is not installed.
        """
        return self._opened_outboxes().outbox(session)

    def outbox_relay(
        self, engine: "AsyncEngine", *, every: Delay = 1.0
    ) -> "AbstractAsyncContextManager[Relay]":
        """Move what pushes after commits have left behind: ``async with runner.outbox_relay(engine):``.

        Args:
            engine: of the database.
            every: how often it looks: one query.

        Raises:
            MissingExtra: SQLAlchemy is not installed.
        """
        return self._opened_outboxes().relay(engine, every=every)

    def _opened_outboxes(self) -> "Outboxes":
        if self._outboxes is None:
            from .outbox import Outboxes

            self._outboxes = Outboxes(self.client)
        return self._outboxes

    async def _close_outboxes(self) -> None:
        outboxes, self._outboxes = self._outboxes, None
        if outboxes is not None:
            await outboxes.stop()

    @property
    def workflows(self) -> Workflows:
        """Workflows, inside ``async with runner``."""
        return Workflows(self.client, self.settings, self.registry)

    async def start(self, workflow: Part[object, R], /, **options: Unpack[StartOptions]) -> Workflow[R]:
        """Start a workflow; see ``Workflows.start``."""
        return await self.workflows.start(workflow, **options)

    def workflow(self, workflow_id: str) -> Workflow[Any]:
        """Make a handle on a workflow from its id."""
        return self.workflows.workflow(workflow_id)
