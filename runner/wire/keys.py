"""Every key on the server, as functions of (layout, queue, id).

    classic (arq's own names)    tagged (one hash tag a queue) type    whose  meaning
    arq:queue, arq:queue:<name>  arq:queue:{<name>}            ZSET    arq    id -> due ms; end of lease
    arq:job:<id>                 arq:{<name>}:job:<id>         STRING  arq    payload
    arq:in-progress:<id>         …                             STRING  arq    the lease: token.length_ms, PX
    arq:retry:<id>               …                             STRING  arq    attempts so far
    arq:result:<id>              …                             STRING  arq    result envelope, PX
    arq:abort                    arq:queue:{<name>}:abort      ZSET    arq    cancellations asked for
    runner:<name>:running        runner:{<name>}:running       HASH    ours   id -> token fence worker alone
    runner:<name>:suspects       …                             ZSET    ours   id -> since ms; must run alone
    runner:<name>:dead           …                             ZSET    ours   id -> died at ms
    runner:<name>:dead-stats     …                             HASH    ours   bytes and what was trimmed
    runner:<name>:dead-untold    …                             SET     ours   deaths no worker saw
    runner:<name>:dead-audit     …                             STREAM  ours   who replayed, discarded, …
    runner:<name>:paused         …                             HASH    ours   who paused the queue, since when
    runner:<name>:ward           …                             STRING  ours   worker that isolates, PX
    runner:<name>:laned          runner:{<name>}:laned         HASH    ours   id -> priority and lane
    runner:<name>:lane:<lane>    …                             ZSET    ours   id -> rank, ready
    runner:<name>:tenants        …                             ZSET    ours   tenant -> how far on it is
    runner:<name>:lanes:<tenant> …                             ZSET    ours   lane -> rank of its head
    runner:<name>:lone           …                             HASH    ours   tenant -> its only lane
    runner:<name>:holders:<key>  …                             ZSET    ours   who has a slot -> since ms
    runner:<name>:waiting:<key>  …                             ZSET    ours   lanes that wait -> since ms
    runner:<name>:shut           …                             ZSET    ours   gate -> look again at ms
    runner:<name>:rules          …                             HASH    ours   limits, weights, step
    runner:<name>:turn           …                             HASH    ours   v virtual time, s sorted to ms
    runner:job:<id>              runner:{<name>}:job:<id>      HASH    ours   history of a job in trouble
    runner:dead:<id>             …                             HASH    ours   a dead letter
    runner:unique:<digest>       …                             STRING  ours   since ms, id of the one such job
    runner:unique-jobs           …                             HASH    ours   id -> digest it stands for
    runner:op:<token>            runner:{<name>}:op:<token>    STRING  ours   answers of a call, 1 h
    runner:schedule:<name>       …                             HASH    ours   last tick, rule, counts, jobs
    runner:<name>:schedules      runner:{<name>}:schedules     HASH    ours   schedule -> definition
    runner:<name>:schedules-new  arq:queue:{<name>}:schedules  ZSET    ours   schedule -> its last change
    runner:<name>:gate:<key>     runner:{<name>}:gate:<key>    HASH    ours   a gate: closed until, why; PX
    runner:<name>:probes:<key>   …                             ZSET    ours   jobs let through -> until ms
    runner:<name>:gates          …                             ZSET    ours   gates that hold jobs up
    runner:<name>:calls          …                             ZSET    ours   destination -> last heard of ms
    runner:<name>:calls-failed   …                             ZSET    ours   destination -> last failure ms
    runner:<name>:calls:<key>    …                             HASH    ours   calls by minute and hour, PX
    runner:once:<digest>         runner:{effects}:once:<…>     STRING  ours   an idempotency record
    runner:lock:<name>           runner:{effects}:lock:<name>  STRING  ours   a lock's holder and fence
    runner:waiters:<name>        …                             ZSET    ours   who waits for it -> since us
    runner:waiting:<name>        …                             HASH    ours   who waits -> until ms, channel
    runner:<name>:nodes-ended    arq:queue:{<name>}:ended      ZSET    ours   node that ended -> look at ms
    runner:<name>:nodes-ended-how arq:queue:{<name>}:ended-how HASH    ours   that node -> how it ended
    runner:wf:<part>:<id>        runner:{wf:<id>}:<part>:<id>  various ours   a workflow; WORKFLOW_PARTS
    runner:workflows-<state>     …                             ZSET    ours   workflow -> since ms
    runner:workers               runner:workers                ZSET    ours   worker -> seen at ms
    runner:worker:<name>         …                             STRING  ours   what it says of itself, PX

A ready job that has a lane stands in its queue's ZSET at 1e15 + due ms: no page of due jobs meets it. A
queue's name is a word (``bulk``; of shards ``bulk~1`` …); arq's ``queue_name`` is the key, any key will do.
``runner:job`` fields: ``f`` last fence, ``d`` deaths, ``s`` snoozes, ``t`` 1: has a place in a rate's line,
``l`` last delay (ms), ``w`` why it waits, ``p`` progress, ``r`` replays, ``z`` how the life before the
replay ended, ``a<n>`` what attempt n ended with (the last 20). Durable records have a colon in their names:
``step:<name>`` a result, ``sleep:<name>#<n>`` and ``wait:<name>#<n>`` what wait.lua says, ``signals:<name>``
how many came or were waited for in vain, ``sent:<key>``; ``b`` is their bytes, ``x`` the last wait whose time
ran out. A letter has them too, and ``payload``, ``queue`` (ZSET), ``reason``, ``attempts``, ``at``
(died at ms), ``note`` (last attempt) and ``bytes``.
"""

import re
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

from ..shards import whole

Layout = Literal["classic", "tagged"]

DEFAULT_QUEUE = "default"
PARKED = 10**15
"""Added to the due time of a ready job that stands in a lane; the year 33658."""

WORKERS = "runner:workers"

_TAGGED = re.compile(r"arq:queue:\{(.*)\}")
WORKFLOW_PARTS = {
    "state": "HASH: s state, round, policy, value unit, times, the node that failed, shape",
    "plan": "HASH: number // 100 -> the calls of those nodes, compressed; e -> the call of on_error",
    "units": "HASH: group -> first bit, members, edge, what runs of units they are",
    "done": "STRING: a bit for each member of a group that has ended",
    "results": "HASH: node -> what it returned, JSON",
    "aside": "HASH: bit -> the error of a member that is collected; n<node> -> of on_error, of a saga",
    "failures": "HASH: node -> fence, round and how it ended, and its error",
    "dead": "SET: nodes that failed the workflow and have not succeeded since",
    "todo": "SET: what is to be done next; a word is taken out when it was done",
    "held": "SET: what would be to be done if the workflow had not failed",
    "job": "STRING: there while the workflow has not ended",
    "result": "STRING: how it ended, a result envelope",
}
"""The keys of one workflow, all in one slot."""


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of one queue.

    Attributes:
        name: the queue's name for people; all its shards have it.
        at: the shard's own name; that of a queue which has one is its name.
        queue: the ZSET.
        abort: ZSET of cancellations asked for.
        nodes_ended: ZSET of nodes of workflows that ended, until their workflow knows; how lies beside it.
        schedule_changes: ZSET of schedules that were defined, removed, paused or resumed, by when.
        arq: prefix of arq's per-job keys.
        ours: prefix of our per-job keys.
        running: HASH of what runs.
        suspects: ZSET of jobs whose workers died twice and that wait to run alone.
        dead: ZSET of dead letters.
        ward: lock of the worker that isolates suspects.
    """

    name: str
    at: str
    queue: str
    abort: str
    nodes_ended: str
    schedule_changes: str
    arq: str
    ours: str
    running: str
    suspects: str
    dead: str
    ward: str

    @property
    def dead_stats(self) -> str:
        """HASH: bytes of all dead letters; how many, and how many bytes, retention deleted."""
        return self.dead + "-stats"

    @property
    def dead_untold(self) -> str:
        """SET of dead letters that no worker was told of."""
        return self.dead + "-untold"

    @property
    def dead_audit(self) -> str:
        """STREAM of what people did to dead letters."""
        return self.dead + "-audit"

    @property
    def paused(self) -> str:
        """HASH, there while the queue is paused: at (ms), by."""
        return self.here + "paused"

    @property
    def here(self) -> str:
        """Prefix of what belongs to this queue alone."""
        return self.dead.removesuffix("dead")

    @property
    def gates(self) -> str:
        """ZSET of gates that hold somebody up."""
        return self.here + "gates"

    def gate(self, key: str) -> str:
        """A gate."""
        return f"{self.here}gate:{key}"

    @property
    def destinations(self) -> str:
        """ZSET of destinations, by when one was last heard of."""
        return self.here + "calls"

    @property
    def destinations_failed(self) -> str:
        """ZSET of destinations that failed, by when one last did."""
        return self.destinations + "-failed"

    def destination(self, key: str) -> str:
        """Calls to a destination."""
        return f"{self.here}calls:{key}"

    @property
    def schedules(self) -> str:
        """HASH of the definitions of schedules made at run time."""
        return self.here + "schedules"

    @property
    def laned(self) -> str:
        """HASH of the priorities and lanes of jobs that have any."""
        return self.here + "laned"

    @property
    def rules(self) -> str:
        """HASH of concurrency limits, weights and the step of priorities."""
        return self.here + "rules"

    def lane(self, lane: str) -> str:
        """ZSET of the ready jobs of a lane."""
        return f"{self.here}lane:{lane}"

    def holders(self, gate: str) -> str:
        """ZSET of the jobs that have a slot of a gate."""
        return f"{self.here}holders:{gate}"

    def job(self, job_id: str) -> str:
        """Payload of a job."""
        return f"{self.arq}job:{job_id}"

    def lease(self, job_id: str) -> str:
        """Lease of a running job."""
        return f"{self.arq}in-progress:{job_id}"

    def retry(self, job_id: str) -> str:
        """Attempts of a job so far."""
        return f"{self.arq}retry:{job_id}"

    def result(self, job_id: str) -> str:
        """Result envelope of a job."""
        return f"{self.arq}result:{job_id}"

    def record(self, job_id: str) -> str:
        """History of a job that had trouble."""
        return f"{self.ours}job:{job_id}"

    @property
    def unique_jobs(self) -> str:
        """HASH of the jobs that stand for a digest until they end."""
        return f"{self.ours}unique-jobs"

    def unique(self, digest: str) -> str:
        """The one job of a digest."""
        return f"{self.ours}unique:{digest}"

    def op(self, token: str) -> str:
        """Answers of a call that may be sent twice."""
        return f"{self.ours}op:{token}"

    def schedule(self, name: str) -> str:
        """State of a schedule."""
        return f"{self.ours}schedule:{name}"

    def dead_letter(self, job_id: str) -> str:
        """A dead letter."""
        return f"{self.ours}dead:{job_id}"


def keys_of(name: str, layout: Layout = "classic") -> Keys:
    """Give the keys of the queue, or the shard, of that name."""
    if layout == "tagged":
        queue = f"arq:queue:{{{name}}}"
        keys = _keys(name, queue, f"arq:{{{name}}}:", f"runner:{{{name}}}:", f"{{{name}}}")
        # What is listened for begins alike: the server compares each key it writes with every beginning.
        listened = {"nodes_ended": f"{queue}:ended", "schedule_changes": f"{queue}:schedules"}
        return replace(keys, name=whole(name), abort=f"{queue}:abort", **listened)
    queue = "arq:queue" if name == DEFAULT_QUEUE else f"arq:queue:{name}"
    return _keys(name, queue, "arq:", "runner:", name)


def keys_of_arq_queue(queue_name: str) -> Keys:
    """Give the keys of a queue that is named as arq names it: by its ZSET."""
    name = DEFAULT_QUEUE if queue_name == "arq:queue" else queue_name.removeprefix("arq:queue:")
    return _keys(name, queue_name, "arq:", "runner:", name)


@lru_cache(maxsize=256)  # asked for each line of a log
def name_of(queue: str) -> str:
    """Give the name of the queue that has this ZSET."""
    tagged = _TAGGED.fullmatch(queue)
    return whole(tagged[1]) if tagged is not None else keys_of_arq_queue(queue).name


def keys_of_workflow(workflow: str, layout: Layout = "classic") -> Keys:
    """Give the keys of a workflow as those of a queue whose one job it is: its end is read like a job's.

    ``arq`` is the prefix of WORKFLOW_PARTS.
    """
    own = f"runner:{{wf:{workflow}}}:" if layout == "tagged" else "runner:wf:"
    return _keys(workflow, own, own, own, f"{{wf:{workflow}}}")


def workflows_in(state: str) -> str:
    """ZSET of the workflows in a state: ``running``, ``failed`` (or cancelled), ``ended``."""
    return f"runner:workflows-{state}"


def worker(name: str) -> str:
    """What the worker of that name says of itself."""
    return f"runner:worker:{name}"


def _keys(name: str, queue: str, arq: str, ours: str, tag: str) -> Keys:
    return Keys(
        name=name,
        at=name,
        queue=queue,
        abort=f"{arq}abort",
        nodes_ended=f"runner:{tag}:nodes-ended",
        schedule_changes=f"runner:{tag}:schedules-new",
        arq=arq,
        ours=ours,
        running=f"runner:{tag}:running",
        suspects=f"runner:{tag}:suspects",
        dead=f"runner:{tag}:dead",
        ward=f"runner:{tag}:ward",
    )
