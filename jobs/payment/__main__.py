"""``python -m jobs.payment review | show | settle``: what a person does about payments.

Apart from ``runner``, which never imports an application's jobs: these are commands of this package, and they
use it as any application does.
"""

import argparse
import asyncio
import getpass
import sys
from typing import Any

import msgspec

from runner import Runner
from runner.errors import RunnerError, ServerUnreachable, SettingsError

from .reconcile import payment_state
from .review import Finding, payments_in_review, settle_payment


def main() -> None:
    """Exit codes: 0 done; 1 refused; 2 usage or settings; 3 no server; 4 there is no such payment."""
    parser = argparse.ArgumentParser(
        prog="python -m jobs.payment", description="Payments that a person has to look at."
    )
    verbs = parser.add_subparsers(dest="verb", required=True)
    review = verbs.add_parser("review", help="list what nobody but a person can end, oldest first")
    review.add_argument("--limit", type=int, default=100)
    show = verbs.add_parser("show", help="what the ledger says of an order")
    show.add_argument("order")
    settle = verbs.add_parser("settle", help="write down how an operation in review ended")
    settle.add_argument("order")
    settle.add_argument("verdict", choices=["succeeded", "authorized", "rejected"])
    settle.add_argument("--evidence", required=True, help="how you know; kept in the audit list")
    settle.add_argument("--kind", choices=["charge", "capture", "void", "refund"], default="charge")
    settle.add_argument("--name", default="", help="a refund's id")
    settle.add_argument("--ref", default="", help="the gateway's name of it")
    settle.add_argument("--by", default="", help="who you are; your user name where it is left out")
    given = parser.parse_args()
    try:
        sys.exit(asyncio.run(_run(given)))
    except RunnerError as error:
        print(error, file=sys.stderr)  # noqa: T201 - a command
        codes = {SettingsError: 2, ServerUnreachable: 3}
        sys.exit(next((code for kind, code in codes.items() if isinstance(error, kind)), 1))


async def _run(given: argparse.Namespace) -> int:
    async with Runner.from_settings() as runner:
        if given.verb == "review":
            for each in await payments_in_review(runner, limit=given.limit):
                _print(each)
            return 0
        if given.verb == "show":
            state = await payment_state(runner, given.order)
            _print(state)
            return 0 if state is not None else 4
        finding = Finding(
            verdict=given.verdict,
            evidence=given.evidence,
            by=given.by or getpass.getuser(),
            ref=given.ref,
        )
        _print(await settle_payment(runner, given.order, finding, kind=given.kind, name=given.name))
        return 0


def _print(value: Any) -> None:
    print(msgspec.json.encode(value).decode())  # noqa: T201 - a command


if __name__ == "__main__":
    main()
