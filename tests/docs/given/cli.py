@task
async def refund(ctx: Context, order: str, cents: int) -> None: ...


await runner.enqueue(refund.using(key="refund-17"), "o-17", 4200)
