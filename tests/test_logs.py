"""Log lines of a worker: each names its job, and none shows a secret."""

import io
import json
import logging

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner import Runner, Settings, task
from runner.logs import JobFields, JsonFormatter, TextFormatter, configure_logging
from runner.settings.groups import LogsGroup
from runner.settings.masking import HIDDEN, redacted, redacted_text

app_log = logging.getLogger("shop.orders")


@task
async def settles(ctx, order: str) -> None:
    app_log.warning("settling %s", order, extra={"order": order, "card": {"token": "t-1", "brand": "v"}})


@pytest.fixture
def configured(monkeypatch):
    """Configure logging as in a fresh process, in the test's body: pytest's own handlers come before it."""
    loggers = [logging.getLogger(name) for name in ("", "runner", "arq", "httpx", "httpcore")]
    levels = [each.level for each in loggers]

    def configure(settings: LogsGroup, *handlers: logging.Handler) -> io.StringIO:
        for each in loggers:
            monkeypatch.setattr(each, "handlers", list(handlers) if each is loggers[0] else [])
        configure_logging(settings)
        stream = io.StringIO()
        if not handlers:
            loggers[0].handlers[0].setStream(stream)
        return stream

    yield configure
    for each, level in zip(loggers, levels, strict=True):
        each.setLevel(level)


async def run(redis_url: str) -> str:
    given = {"redis": {"url": redis_url}, "tasks": (), "worker": {"queues": {"default": 1}, "grace": 0}}
    runner = Runner(Settings.model_validate(given), tasks=[settles])
    async with runner, runner.worker():
        job = await runner.enqueue(settles, "o-17")
        await job.result(timeout=30)
    return job.id


async def test_a_json_line_of_a_task_names_its_job(configured, redis_url):
    """Also where a task's own logger, which knows nothing of us, wrote it; ``extra`` is kept, secrets not."""
    stream = configured(LogsGroup(format="json"))
    job_id = await run(redis_url)
    app_log.warning("outside")
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    mine, outside = (line for line in lines if line["logger"] == "shop.orders")
    about = {"job_id": job_id, "task": "settles", "attempt": 1, "queue": "default"}
    given = {"order": "o-17", "card": {"token": HIDDEN, "brand": "v"}}
    assert {k: v for k, v in mine.items() if k not in {"at", "trace_id"}} == {
        "level": "WARNING",
        "logger": "shop.orders",
        "message": "settling o-17",
        **about,
        **given,
    }
    [ended] = [line for line in lines if line["logger"] == "runner.job"]
    assert about.items() <= ended.items()
    assert ended["outcome"] == "succeeded"
    assert not about.keys() & outside.keys()


async def test_a_line_for_people_names_the_job_behind_it(configured, redis_url):
    """In text, a task's own lines end with the job; ours say it already."""
    stream = configured(LogsGroup())
    job_id = await run(redis_url)
    lines = stream.getvalue().splitlines()
    [mine] = [line for line in lines if "settling" in line]
    assert mine.endswith(f"settling o-17  [{job_id}:settles, attempt 1]")
    [ended] = [line for line in lines if "succeeded" in line]
    assert ended.count(job_id) == 1


def test_a_trace_that_came_with_the_job_is_named():
    """Whoever has traces on at the enqueueing side finds the worker's lines by it."""
    from runner.job import Attempt, current_attempt
    from runner.wire.codec import Meta

    attempt = Attempt(
        job_id="j", queue="arq:queue:bulk", number=2, token="", fence=1, due_at_ms=0, payload=None
    )
    attempt.meta = Meta(c={"traceparent": f"00-{'a' * 32}-{'b' * 16}-01"})
    was = current_attempt.set(attempt)
    try:
        record = logging.makeLogRecord({"msg": "x"})
        assert JobFields().filter(record)
        foreign = logging.makeLogRecord({"msg": "x", "job_id": "another"})
        JobFields().filter(foreign)
    finally:
        current_attempt.reset(was)
    assert (record.trace_id, record.queue, record.attempt) == ("a" * 32, "bulk", 2)
    assert foreign.job_id == "another"
    assert not hasattr(foreign, "task"), "a line about another job keeps its name"


def test_a_host_that_has_set_up_logging_keeps_it(configured):
    """An app's own handlers stay the only ones."""
    configured(LogsGroup(format="json"), handler := logging.NullHandler())
    assert logging.getLogger().handlers == [handler]
    assert logging.getLogger("runner").handlers == []


def test_requests_are_not_logged_with_their_addresses(configured):
    """httpx writes each URL at INFO, tokens in it included: not at our INFO."""
    stream = configured(LogsGroup())
    logging.getLogger("httpx").info("HTTP Request: POST https://x/?sig=1")
    logging.getLogger("shop").info("mine")
    assert [line.split(" ", 1)[1] for line in stream.getvalue().splitlines()] == ["mine"]


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("no server at redis://bob:hunter2@db:6379/0", "no server at redis://***@db:6379/0"),
        ("POST https://x/hook?token=abc&n=1", "POST https://x/hook?token=***&n=1"),
        ("secret whsec_c2VjcmV0 rotated", "secret *** rotated"),
        ("gateway said sk_live_4eC39Hq is wrong", "gateway said *** is wrong"),
        ("Authorization: Bearer eyJhbGciOi.x.y", "Authorization: Bearer ***"),
        ("{'password': 'p q', 'user': 'u'}", "{'password': ***, 'user': 'u'}"),
        ('{"api_key": "k-1", "amount": 5}', '{"api_key": ***, "amount": 5}'),
        ("db_password=hunter2, retries=3", "db_password=***, retries=3"),
        (
            "mail to ann@example.com about idempotency_key=o-17",
            "mail to ann@example.com about idempotency_key=o-17",
        ),
        ("took 5 tokens of limit api; author: Ann", "took 5 tokens of limit api; author: Ann"),
    ],
)
def test_secrets_are_starred_out_and_the_rest_stays(line, shown):
    """By name, by form, in addresses and headers; ids, mail addresses and counts are no secrets."""
    assert redacted_text(line) == shown
    for formatter in (TextFormatter(), JsonFormatter()):
        text = formatter.format(logging.makeLogRecord({"msg": line, "name": "x", "levelname": "INFO"}))
        assert (json.loads(text)["message"] if text.startswith("{") else text.split(" ", 1)[1]) == shown


def test_an_exception_is_starred_too():
    """Its text may hold the address that could not be reached."""
    try:
        raise ConnectionError("redis://u:hunter2@db")
    except ConnectionError as error:
        info = (type(error), error, error.__traceback__)
        record = logging.makeLogRecord({"msg": "x", "name": "x", "exc_info": info})
    for formatter in (TextFormatter(), JsonFormatter()):
        assert "hunter2" not in formatter.format(record)


@settings(max_examples=50)
@given(
    st.dictionaries(st.text(), st.one_of(st.text(), st.binary(), st.floats(), st.none(), st.lists(st.text())))
)
def test_anything_can_be_logged(extra):
    """Lone surrogates, bytes, NaN, any keys: a line is always one line of JSON, and never an error."""
    record = logging.makeLogRecord({"msg": "%s", "args": (str(extra),), "given": extra, "odd": object()})
    line = JsonFormatter().format(record)
    assert "\n" not in line
    assert json.loads(line)["level"]
    assert redacted("password", "x") == HIDDEN
