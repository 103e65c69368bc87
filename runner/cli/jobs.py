"""``runner jobs``: list, show, explain, cancel, retry, edit and signal jobs."""

import sys
from typing import Annotated

import typer

from ..app import Runner
from ..dead_letters import Edit
from ..errors import ChangeRefused, ReplayRefused, UnknownJob
from ..inspector import JobFilter
from .asking import confirm, refuse_unless, within
from .connected import run
from .dead_options import Cursor, DryRun, Queue, Yes, read_edit
from .explain import explain
from .inspecting import JOB_COLUMNS, detail_plain, job_plain, job_row, print_detail
from .meter import Meter
from .showing import print_json, print_jsonl, print_table
from .signal import signal
from .telling import Json, each, tell, tell_tally

PASSING = (UnknownJob, ChangeRefused, ReplayRefused)
"""Errors of one job, which keep no other from being done."""

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, add_completion=False)
app.command()(signal)

Id = Annotated[str, typer.Argument(metavar="ID")]
Ids = Annotated[list[str] | None, typer.Argument(metavar="ID…", help="These only.")]
Task = Annotated[str, typer.Option(help="Name of the task; * and ? stand for any.")]
Text = Annotated[str, typer.Option(help="Anywhere in id and arguments.")]
Most = Annotated[int | None, typer.Option("--limit", min=1, help="Refuse to touch more than so many.")]


@app.command("list")
def list_(
    task: Task = "", text: Text = "", queue: Queue = None,
    state: Annotated[
        str | None, typer.Option(help="running, ready, scheduled or dead; none: the first three.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Jobs at most.")] = 50,
    look: Annotated[int, typer.Option(min=1, help="Jobs to look at, at most.")] = 10_000,
    cursor: Cursor = "",
    as_json: Annotated[bool, typer.Option("--json", help="One object.")] = False,
    as_jsonl: Annotated[bool, typer.Option("--jsonl", help="One object a job and line.")] = False,
) -> None:  # fmt: skip
    """List jobs in order of due; prints the cursor to go on with to stderr."""
    wanted = JobFilter(task, text)
    page = run(
        lambda runner: runner.inspector.find(
            wanted, queue=queue, state=state, cursor=cursor, limit=limit, look=look
        )
    )
    plain = [job_plain(job) for job in page.jobs]
    if as_json:
        print_json({"jobs": plain, "cursor": page.cursor, "looked": page.looked})
    elif as_jsonl:
        print_jsonl(plain)
    else:
        print_table(JOB_COLUMNS, [job_row(job) for job in page.jobs])
        if not plain and not page.cursor:
            print("no such jobs; those that succeeded are in no list, runner jobs show ID", file=sys.stderr)
    if page.cursor:
        print(f"looked at {page.looked:,}; there is more: --cursor '{page.cursor}'", file=sys.stderr)


@app.command()
def show(
    job_id: Id,
    queue: Queue = None,
    as_json: Annotated[bool, typer.Option("--json", help="One object.")] = False,
) -> None:
    """Show all that is known of one job: arguments, attempts, why it waits, how it ended."""
    job = run(lambda runner: runner.inspector.job(job_id, queue=queue))
    if as_json:
        print_json(detail_plain(job))
    else:
        print_detail(job)


app.command()(explain)


@app.command()
def cancel(
    ids: Ids = None, task: Task = "", text: Text = "", queue: Queue = None,
    dry_run: DryRun = False, limit: Most = None, cursor: Cursor = "", yes: Yes = False,
    as_json: Json = False,
) -> None:  # fmt: skip
    """Cancel jobs: by id, where a running one is asked to stop; or what waits in --queue, by task or text."""
    if ids:
        run(lambda runner: each(ids, lambda one: _cancel(runner, one, queue), PASSING, as_json=as_json))
        return
    refuse_unless(queue is not None and bool(task or text), "name ids, or --queue with --task or --text")
    sweep(
        queue or "", JobFilter(task, text),
        dry_run=dry_run, limit=limit, cursor=cursor, yes=yes, as_json=as_json,
    )  # fmt: skip


@app.command()
def retry(
    ids: Annotated[list[str], typer.Argument(metavar="ID…")], queue: Queue = None, as_json: Json = False
) -> None:
    """Let jobs start now: one that waits for its next attempt is due at once, a dead letter is replayed."""

    async def one(runner: Runner, job_id: str) -> str:
        was = await runner.queues.retry(job_id, queue=queue)
        return f"{job_id} is due now; it was {was}"

    run(lambda runner: each(ids, lambda job_id: one(runner, job_id), PASSING, as_json=as_json))


@app.command()
def edit(
    job_id: Id,
    changes: Annotated[
        list[str] | None, typer.Option("--edit", metavar="NAME=JSON", help="Another value for an argument.")
    ] = None,
    args: Annotated[str | None, typer.Option(metavar="JSON", help="All positional arguments anew.")] = None,
    kwargs: Annotated[str | None, typer.Option(metavar="JSON", help="All keyword arguments anew.")] = None,
    queue: Queue = None,
    as_json: Json = False,
) -> None:
    """Change the arguments of a job that waits; they are checked against its task."""
    given = read_edit(changes, args, kwargs)
    refuse_unless(given != Edit(), "say what changes: --edit, --args or --kwargs")
    run(lambda runner: runner.queues.edit(job_id, given, queue=queue))
    tell(f"{job_id} changed", as_json=as_json, id=job_id, done=True)


def sweep(
    queue: str,
    wanted: JobFilter,
    *,
    dry_run: bool,
    limit: int | None,
    cursor: str,
    yes: bool,
    counted: bool = False,
    as_json: bool = False,
) -> None:
    """Cancel what waits in a queue: count, ask, do; ``counted``: the count has to be typed back."""

    async def act(runner: Runner) -> None:
        queues = runner.queues
        counts = await queues.purge(queue, wanted, cursor=cursor, dry_run=True)
        if dry_run or not (total := counts.matched):
            said = f"{counts.matched} would be cancelled" if dry_run else "nothing to cancel"
            tell_tally(counts, said, as_json=as_json, dry_run=dry_run)
            return
        within(total, limit)
        question = f"{total} jobs that wait in {queue} will be cancelled."
        if counted:
            confirm(f"{question} Type their number:", yes=yes, answer=str(total))
        else:
            confirm(f"{question} Go on?", yes=yes)
        with Meter("cancelled", total, resume="the same command and --cursor '{}'") as meter:
            tally = await queues.purge(queue, wanted, cursor=cursor, on_progress=meter.advance)
        tell_tally(tally, f"{tally.done} cancelled", as_json=as_json)
        if tally.gone:
            print(f"{tally.gone} left out: they had started, or were gone", file=sys.stderr)

    run(act)


async def _cancel(runner: Runner, job_id: str, queue: str | None) -> str:
    job = (await runner.inspector.job(job_id, queue=queue)).info
    if job.state.is_terminal:
        msg = f"job '{job_id}' has ended already: it is {job.state}"
        raise ChangeRefused(msg)
    if not await runner.job(job_id, queue=job.queue).cancel():
        msg = f"there is no job '{job_id}' (any more)"
        raise UnknownJob(msg)
    return f"{job_id} was asked to stop" if job.state == "running" else f"{job_id} cancelled"
