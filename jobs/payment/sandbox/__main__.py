"""``python -m jobs.payment.sandbox --port 12111 --ledger ledger.jsonl``."""

import argparse
import asyncio
import contextlib
import sys
from pathlib import Path

from .faults import FAULTS, Plan
from .server import serve


def main() -> None:
    """Serve until stdin closes (when it is a pipe) or Ctrl-C."""
    parser = argparse.ArgumentParser(
        prog="python -m jobs.payment.sandbox", description="A Stripe-shaped gateway, with faults on demand."
    )
    parser.add_argument("--port", type=int, default=0, help="on 127.0.0.1; 0 takes a free one")
    parser.add_argument("--ledger", type=Path, required=True, help="file that everything done is appended to")
    parser.add_argument("--latency", type=float, default=0.0, help="seconds each charge takes")
    parser.add_argument("--ignore-keys", action="store_true", help="ignore Idempotency-Key")
    parser.add_argument("--key-ttl", type=float, default=86_400.0, help="seconds until keys are forgotten")
    parser.add_argument("--share", type=float, default=0.0, help="share of requests that meet a fault")
    parser.add_argument("--mix", nargs="*", default=[], choices=[*FAULTS], metavar="FAULT", help="which")
    given = parser.parse_args()
    with contextlib.suppress(KeyboardInterrupt, asyncio.CancelledError):
        asyncio.run(_serve(given))


async def _serve(given: argparse.Namespace) -> None:
    plan = Plan(share=given.share, mix=tuple(given.mix))
    serving = asyncio.create_task(
        serve(
            given.port,
            given.ledger,
            plan,
            latency_s=given.latency,
            honours_keys=not given.ignore_keys,
            key_ttl_s=given.key_ttl,
        )
    )
    if not sys.stdin.isatty():
        # The starter holds the other end: when it is gone, however it went, the sandbox goes too.
        closed = asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
        closed.add_done_callback(lambda _: serving.cancel())
    await serving


if __name__ == "__main__":
    main()
