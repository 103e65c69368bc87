urls = ["https://a.example", "https://b.example"]


@task
async def fetch(ctx: Context, url: str) -> int:
    return len(url)


@task
async def merge(ctx: Context, sizes: list[int]) -> int:
    return sum(sizes)


@task
async def notify(ctx: Context, size: int, *, user_email: str) -> str:
    return f"{size} to {user_email}"


@task
async def alert(ctx: Context, failure: dict) -> None: ...
