"""Logging: one line per record on standard error, for people at a terminal and for machines elsewhere."""

import json
import logging
import logging.config
import sys
import time
from contextvars import ContextVar
from typing import Any, TextIO

from relay.redaction import redacted
from relay.settings import LogFormat, LoggingSettings, SettingsError

_STANDARD_ATTRIBUTES = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_QUIET = ("urllib3", "web3", "asyncio")
"""Libraries whose chatter below WARNING says nothing about the relay."""

request_id: ContextVar[str] = ContextVar("request_id", default="")
"""The id of the request that is being answered, empty for none."""


class RequestIds(logging.Filter):
    """Lets every record say during which request it was made."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Add the id, unless whoever made the record has said one."""
        identifier = request_id.get()
        if identifier and "request_id" not in vars(record):
            record.request_id = identifier
        return True


class TerminalFormatter(logging.Formatter):
    """``12:34:56 INFO    relay.index: message key=value``, a traceback below it; local time."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(name)s: %(message)s", "%H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, and what follows it."""
        return redacted(super().format(record))

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  named by the standard library
        """Return the line with the record's extra fields."""
        return " ".join([super().formatMessage(record), *_pairs(extra_fields(record))])


class KeyValueFormatter(logging.Formatter):
    """``time=2026-01-31T12:34:56.789Z level=info logger=relay.index message="..."``, everything on one line; UTC.

    The record's extra fields follow by their names, a traceback as ``traceback`` with escaped line ends.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        return redacted(" ".join(_pairs(self.fields(record))))

    def fields(self, record: logging.LogRecord) -> dict[str, Any]:
        """Return what a line tells, by name and in order."""
        second = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        fields: dict[str, Any] = {
            "time": f"{second}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **extra_fields(record),
        }
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        elif record.exc_text:
            fields["traceback"] = record.exc_text
        return fields


class JsonFormatter(KeyValueFormatter):
    """The same fields as a JSON object on one line; numbers stay numbers."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        return redacted(json.dumps(self.fields(record), default=str))


def extra_fields(record: logging.LogRecord) -> dict[str, Any]:
    """Return what a caller passed as ``extra``."""
    return {name: value for name, value in vars(record).items() if name not in _STANDARD_ATTRIBUTES}


def _pairs(fields: dict[str, Any]) -> list[str]:
    return [f"{name}={_quoted(value)}" for name, value in fields.items()]


def _quoted(value: object) -> str:
    text = str(value)
    is_plain = text.isprintable() and text and not any(character in text for character in ' ="\\')
    return text if is_plain else json.dumps(text, ensure_ascii=not text.isprintable())


def _formatter(settings: LoggingSettings, *, is_terminal: bool) -> logging.Formatter:
    if settings.format is LogFormat.JSON:
        return JsonFormatter()
    return TerminalFormatter() if is_terminal else KeyValueFormatter()


def configure_logging(settings: LoggingSettings, stream: TextIO | None = None) -> None:
    """Set up logging for the whole process.

    The root logger gets [logging] level and writes to ``stream``, standard error by default: short lines at a
    terminal, ``key=value`` otherwise, JSON where [logging] format says so. The rest of the section is given to
    logging.config.dictConfig on top, incrementally unless it says ``incremental = false``, as the predecessor
    did: without that it changes levels only. Calling it again replaces the set-up.

    Raises:
        SettingsError: dictConfig does not accept the section.

    """
    stream = stream or sys.stderr
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_formatter(settings, is_terminal=stream.isatty()))
    handler.addFilter(RequestIds())
    logging.basicConfig(level=settings.level.value, handlers=[handler], force=True)
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLevelName(settings.level.value)))
    if not settings.dict_config:
        return
    config = {"version": 1, "incremental": True, "disable_existing_loggers": False, **settings.dict_config}
    try:
        logging.config.dictConfig(config)
    except (ValueError, TypeError, AttributeError, ImportError, KeyError, OSError) as error:
        reason = " ".join(str(error.__cause__ or error).split())
        raise SettingsError(
            f"[logging]: {error}: {reason}" if error.__cause__ else f"[logging]: {reason}"
        ) from None
    if not logging.getLogger().handlers:
        logging.getLogger().addHandler(handler)
    for other in logging.getLogger().handlers:
        other.addFilter(RequestIds())
