"""What a worker process writes to stderr: text for people, JSON for machines; each line of a job names it.

Lines name the job by themselves, those of a task's own loggers too. Who sets up logging alone gets the same:
``handler.addFilter(JobFields())`` adds job_id, task, attempt, queue and trace_id to a handler's records, and
``JsonFormatter()`` writes them. What looks like a secret is starred out in both formats.
"""

import logging
import sys
from datetime import UTC, datetime
from typing import Any

import msgspec

from .job import Attempt, current_attempt
from .settings.groups import LogsGroup
from .settings.masking import redacted, redacted_text
from .wire.keys import name_of

JOB_FIELDS = ("job_id", "task", "attempt", "queue", "trace_id")

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_WORDY = ("httpx", "httpcore")
"""They log the address of every request at INFO; at DEBUG they may."""


class JobFields(logging.Filter):
    """Adds to each record which job it was logged in; where a record has a job_id already, it keeps it."""

    def filter(self, record: logging.LogRecord) -> bool:
        attempt = current_attempt.get()
        if attempt is not None and getattr(record, "job_id", attempt.job_id) == attempt.job_id:
            record.job_id, record.task, record.attempt = attempt.job_id, attempt.task, attempt.number
            record.queue = name_of(attempt.queue)
        if trace_id := _trace_id(attempt):
            record.trace_id = trace_id
        return True


def _trace_id(attempt: Attempt | None) -> str:
    """Give the trace that runs, or else the one that the job came with; empty for none."""
    traces = sys.modules.get("opentelemetry.trace")
    if traces is not None and (context := traces.get_current_span().get_span_context()).is_valid:
        return f"{context.trace_id:032x}"
    carrier = getattr(attempt.meta, "c", None) if attempt is not None else None
    parts = (carrier or {}).get("traceparent", "").split("-")
    return parts[1] if len(parts) == 4 else ""


class JsonFormatter(logging.Formatter):
    """One JSON object a line: at, level, logger, message, job fields, what ``extra=`` gave, exception.

    Args:
        speaker: which process of a fleet this is, for the field ``process``; empty for none.
    """

    def __init__(self, speaker: str = "") -> None:
        super().__init__()
        self._speaker = {"process": speaker} if speaker else {}

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": redacted_text(record.getMessage()),
            **self._speaker,
        }
        line |= {name: getattr(record, name) for name in JOB_FIELDS if hasattr(record, name)}
        for name, value in vars(record).items():
            if name not in _STANDARD and value is not None:
                line.setdefault(name, redacted(name, value))
        if record.exc_info:
            line["exception"] = redacted_text(self.formatException(record.exc_info))
        return msgspec.json.encode(line).decode()


class TextFormatter(logging.Formatter):
    """A line for people; one that a task's own logger wrote ends with the job it was written in.

    Args:
        speaker: which process of a fleet this is; empty for none.
    """

    def __init__(self, speaker: str = "") -> None:
        super().__init__(f"%(asctime)s {f'[{speaker}] ' if speaker else ''}%(message)s", "%H:%M:%S")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        line = super().formatMessage(record)
        is_ours = record.name.startswith(("runner.", "arq."))
        if is_ours or (attempt := current_attempt.get()) is None:
            return line
        return f"{line}  [{attempt.job_id}:{attempt.task}, attempt {attempt.number}]"

    def format(self, record: logging.LogRecord) -> str:
        return redacted_text(super().format(record))


def configure_logging(settings: LogsGroup, *, speaker: str = "") -> None:
    """Send all loggers of this process to stderr, unless the host has set up logging already.

    Args:
        settings: level and form.
        speaker: which process of a fleet this is; empty for none.
    """
    root = logging.getLogger()
    logging.getLogger("runner").setLevel(settings.level)
    if root.handlers or logging.getLogger("runner").handlers:
        return
    handler = logging.StreamHandler()
    handler.addFilter(_is_not_said_twice)
    if settings.format == "json":
        handler.addFilter(JobFields())
    handler.setFormatter(JsonFormatter(speaker) if settings.format == "json" else TextFormatter(speaker))
    root.addHandler(handler)
    root.setLevel(settings.level)
    if settings.level != "DEBUG":
        for name in _WORDY:
            logging.getLogger(name).setLevel(logging.WARNING)


def _is_not_said_twice(record: logging.LogRecord) -> bool:
    """Leave arq's lines to the handler that the command ``arq`` gives its logger."""
    return not (record.name.partition(".")[0] == "arq" and logging.getLogger("arq").handlers)
