"""How well the gateway is: one breaker before every payment job.

| the gateway | the gate |
| --- | --- |
| executed, declined or rejected it, says it is in progress, or found something or nothing | it is well |
| was not reached, or answered in a way that leaves it open what happened | a failure |
| refused by 429 | paused as asked, at most an hour; 30 s when it names no time |
| does not know us (401, 403); was not asked | says nothing |

Pausing and waiting change no operation: the ledger decides what may be sent, now as before.
"""

from runner.breaker import Breaker
from runner.context import Context

from .desk import Said
from .gateway import Misconfigured, NotSent, Throttled, Unknown
from .operation import PAUSE_S

GATEWAY = Breaker("payments", open_after=20, open_for=15, open_cap=300)
"""One gate for the provider account of the settings: while that is ill payments wait where they are, and no
attempt is spent. An operation whose outcome is unknown stays unknown meanwhile."""


def tell_health(ctx: Context, said: Said | None) -> None:
    """Tell the gate what a turn says of the gateway: a refusal or a decline is an answer, and it is well."""
    match said:
        case None | Misconfigured():
            pass
        case Throttled(wait_s):
            ctx.report_health("throttled", retry_after=PAUSE_S if wait_s is None else wait_s)
        case NotSent() | Unknown():
            ctx.report_health("failed")
        case _:
            ctx.report_health("ok")
