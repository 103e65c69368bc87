"""``runner demo``: see it deliver, be killed, and lose nothing."""

import asyncio
import json
import signal
import sys
from typing import Annotated

import typer

from ..demo.scenario import Played, Plot, play
from ..demo.show import balance_text, display_for

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command()
def demo(
    webhooks: Annotated[int, typer.Option(min=1, max=100_000, help="How many.")] = 300,
    faults: Annotated[
        float,
        typer.Option(min=0, max=1, help="Share of requests answered 503; other faults in proportion."),
    ] = 0.2,
    seed: Annotated[int, typer.Option(help="Of the receiver's faults.")] = 1,
    kill: Annotated[bool, typer.Option("--kill/--no-kill", help="SIGKILL the worker half-way.")] = True,
    stay: Annotated[
        bool, typer.Option("--stay/--once", help="Stay up after the balance, until Ctrl-C.")
    ] = False,
    payments: Annotated[int, typer.Option(min=0, max=100_000, help="How many, beside the webhooks.")] = 100,
    as_json: Annotated[bool, typer.Option("--json", help="Print the balance as one JSON object.")] = False,
) -> None:
    """Deliver webhooks and take payments while others misbehave, kill the worker half-way, draw the balance.

    Server, receiver and worker are processes of the demo, in a temporary folder. Exits 0 only if both sides
    account for every webhook and every payment.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # told to end, it cleans up as after Ctrl-C
    plot = Plot(webhooks, faults, seed, kill, stay, payments)
    played = asyncio.run(play(plot, display_for(as_json=as_json), _tell_json if as_json else _tell))
    if not played.is_even:
        sys.exit(1)


def _tell(played: Played) -> None:
    print(balance_text(played.balance, played.kills), flush=True)
    if played.paid.enqueued:
        print(played.paid.text, flush=True)


def _tell_json(played: Played) -> None:
    print(json.dumps(played.as_json(), indent=2, ensure_ascii=False), flush=True)
