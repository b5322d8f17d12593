"""Every record is one line: short for a terminal, key=value elsewhere; the predecessor's [logging] counts."""

import io
import json
import logging
import re
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.logs import KeyValueFormatter, configure_logging
from relay.settings import LogFormat, LoggingSettings, LogLevel, SettingsError

NAMES = ("relay.tests.logs", "relay.tests.logs.inner", "urllib3", "web3", "asyncio")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def restored_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    levels = {name: logging.getLogger(name).level for name in NAMES}
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, was in levels.items():
        logging.getLogger(name).setLevel(was)


def log(settings: LoggingSettings, stream: io.StringIO | None = None) -> tuple[logging.Logger, io.StringIO]:
    stream = stream or io.StringIO()
    configure_logging(settings, stream)
    return logging.getLogger(NAMES[0]), stream


def test_a_record_is_one_line_of_keys_and_values() -> None:
    logger, stream = log(LoggingSettings())
    logger.info("caught up at block %d", 17, extra={"request_id": "a b", "blocks": 3})
    assert re.fullmatch(
        r"time=\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z level=info logger=relay\.tests\.logs "
        r'message="caught up at block 17" request_id="a b" blocks=3\n',
        stream.getvalue(),
    )


def test_a_traceback_stays_on_the_line_of_its_record() -> None:
    logger, stream = log(LoggingSettings())
    try:
        raise ValueError("line one\nline two")
    except ValueError:
        logger.exception("failed")
    assert stream.getvalue().count("\n") == 1
    assert r"ValueError: line one\nline two" in stream.getvalue()


def test_a_record_can_be_a_json_object_in_which_numbers_stay_numbers() -> None:
    logger, stream = log(LoggingSettings(format=LogFormat.JSON), Terminal())
    logger.info('a "quoted"\nline', extra={"block": 17, "at": {1}})
    record = json.loads(stream.getvalue())
    assert list(record) == ["time", "level", "logger", "message", "block", "at"]
    assert (record["message"], record["block"], record["at"]) == ('a "quoted"\nline', 17, "{1}")
    assert stream.getvalue().count("\n") == 1


@given(st.text())
def test_no_message_can_forge_a_line_or_a_field(message: str) -> None:
    line = KeyValueFormatter().format(logging.makeLogRecord({"name": "n", "msg": message, "levelname": "INFO"}))
    assert line.isprintable()
    written = line.partition(" message=")[2]
    assert (json.loads(written) if written.startswith('"') else written) == message


def test_a_terminal_gets_short_lines() -> None:
    logger, stream = log(LoggingSettings(), Terminal())
    logger.warning("slow", extra={"seconds": 2})
    assert re.fullmatch(r"\d\d:\d\d:\d\d WARNING relay\.tests\.logs: slow seconds=2\n", stream.getvalue())


def test_the_level_holds_for_everything_below_the_root() -> None:
    logger, stream = log(LoggingSettings(level=LogLevel.WARNING))
    logger.info("quiet")
    assert stream.getvalue() == ""


def test_libraries_are_kept_quiet_even_while_debugging() -> None:
    _, stream = log(LoggingSettings(level=LogLevel.DEBUG))
    logging.getLogger("urllib3.connectionpool").debug("Starting new connection")
    assert stream.getvalue() == ""


def test_the_levels_of_the_predecessor_s_section_are_honoured() -> None:
    section = {"root": {"level": "ERROR"}, "loggers": {NAMES[1]: {"level": "DEBUG"}}}
    logger, stream = log(LoggingSettings(dict_config=section))
    logger.warning("below the root's level")
    logging.getLogger(NAMES[1]).debug("asked for")
    assert "asked for" in stream.getvalue()
    assert "below" not in stream.getvalue()


def test_setting_it_up_again_replaces_the_first_set_up() -> None:
    _, first = log(LoggingSettings())
    logger, second = log(LoggingSettings())
    logger.info("once")
    assert first.getvalue() == ""
    assert second.getvalue().count("once") == 1


@pytest.mark.parametrize(
    ("section", "reason"),
    [
        ({"root": {"level": "LOUD"}}, "Unknown level: 'LOUD'"),
        ({"handlers": {"x": {"level": "INFO"}}}, "No handler found with name 'x'"),
        ({"version": 2}, "Unsupported version: 2"),
        ({"root": 3}, "Unable to configure root logger"),
        ({"loggers": 3}, "not iterable"),
    ],
)
def test_a_section_that_python_s_logging_refuses_is_a_settings_error(
    section: dict[str, object], reason: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        configure_logging(LoggingSettings(dict_config=section), io.StringIO())
    assert str(caught.value).startswith("[logging]: ")
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)
