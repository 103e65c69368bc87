"""What a worker process writes to stderr: text for people, JSON for machines."""

import logging
from datetime import UTC, datetime

import msgspec

from .settings import LogsGroup

_KEPT = ("job_id",)


class JsonFormatter(logging.Formatter):
    """One JSON object a line: at, level, logger, message, and job_id where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage().encode(errors="backslashreplace").decode(),
        }
        line.update({name: value for name in _KEPT if (value := getattr(record, name, None)) is not None})
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line).decode()


def configure_logging(settings: LogsGroup) -> None:
    """Send the logger ``runner`` to stderr, unless the host has set it up already."""
    logger = logging.getLogger("runner")
    logger.setLevel(settings.level)
    if logger.handlers or logging.getLogger().handlers:
        return
    handler = logging.StreamHandler()
    formatter = (
        JsonFormatter()
        if settings.format == "json"
        else logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S")
    )
    handler.setFormatter(formatter)
    logger.addHandler(handler)
    logger.propagate = False
