"""An arq project as it is: `runner worker bring_your_arq_project.WorkerSettings` instead of `arq …`."""

import os
from typing import Any

from arq import Retry, cron
from arq.connections import RedisSettings


async def startup(ctx: dict[str, Any]) -> None:
    ctx["greeting"] = "hello"


async def greet(ctx: dict[str, Any], name: str) -> str:
    if ctx["job_try"] == 1:
        raise Retry(defer=0.01)
    return f"{ctx['greeting']} {name}"


async def clean(ctx: dict[str, Any]) -> None: ...


class WorkerSettings:
    functions = [greet]
    cron_jobs = [cron(clean, hour=3, minute=30)]
    on_startup = startup
    redis_settings = RedisSettings.from_dsn(os.environ.get("REDIS_URL", "redis://localhost"))
