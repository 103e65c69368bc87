"""How well receivers of webhooks are: two breakers stand before each delivery, the same for all workers.

| gate | a failure | none through for 30 s, 60 s … 10 min after |
| --- | --- | --- |
| `endpoint:<host>#<digest of url>` | slow, broken, not reached, 3xx, 408, 425, 5xx | 10 in a row, or 70% |
| `host:<host>`, with its port | not reached; whatever the host answers is good | 20 in a row, or 50% |

The shares are of 10 calls or more in 5 minutes, and of 20 or more in one. Then one delivery at a time tries;
five good ones, and the rest follows in growing numbers. 429, and 503 with Retry-After, pause the endpoint as
asked, up to 24 h; a 429 that names no time, 60 s. They are no failures. Of the deliveries to an endpoint no
more are retries than 10 + a fifth of the first tries + one a second.

`runner limits list` shows the gates that hold webhooks up; `pause`, `resume` and `reset` work them by hand. A
task of your own that calls ``deliver`` has them when it declares `breaker=[ENDPOINT, HOST]`.
"""

from hashlib import sha256
from typing import Any
from urllib.parse import urlsplit

from runner.breaker import Breaker, Verdict
from runner.context import Context
from runner.http import Answer, Cause, NotSent, Unclear, parse_retry_after

OVERLOAD_WAIT_S = 60.0


def _host_of(url: Any) -> str:
    """Give host and port, never the rest of a url: its path and query may hold secrets."""
    try:
        return urlsplit(str(url)).netloc.rpartition("@")[2].lower()
    except ValueError:
        return ""


def _endpoint_of(url: Any) -> str:
    return f"{_host_of(url)}#{sha256(str(url).encode(errors='replace')).hexdigest()[:12]}"


ENDPOINT = Breaker(
    "endpoint",
    key=_endpoint_of,
    open_after=10,
    share=0.7,
    volume=10,
    window=300,
    pause_cap=86_400,
    retry_budget=0.2,
)
HOST = Breaker("host", key=_host_of, open_after=20)


def tell_health(ctx: Context, ended: Answer | NotSent | Unclear) -> None:
    """Tell the gates what this attempt says of endpoint and host, as the module's table has it."""
    host: Verdict = "none"
    endpoint: Verdict = "failed"
    wait_s = 0.0
    match ended:
        case Answer(status=status, headers=headers):
            asked_s = parse_retry_after(headers.get("retry-after"), now_ms=ctx.clock.now_ms())
            host = "ok"
            if status == 429 or (status == 503 and asked_s is not None):
                endpoint, wait_s = "throttled", OVERLOAD_WAIT_S if asked_s is None else asked_s
            elif not (300 <= status < 400 or status in (408, 425) or status >= 500):
                endpoint = "ok"
        case NotSent(cause=Cause.NETWORK | Cause.TIMEOUT):
            host = "failed"
        case NotSent():
            endpoint = "none"
        case Unclear():
            pass
    ctx.report_health(endpoint, retry_after=wait_s)
    ctx.report_health(host, of=HOST)
