from unittest.mock import Mock

pager = Mock()


@task
async def send_invoice(ctx: Context, order: str, amount: int) -> None:
    raise GiveUp("no such order")


invoice = await runner.enqueue(send_invoice.using(key="inv-17"), "o-17", 100)
try:
    await invoice.result(timeout=30)
except JobFailed:
    pass
