"""What is worth money or lets somebody in is cut out of every line, whoever let it in."""

import io
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.logs import JsonFormatter, KeyValueFormatter, TerminalFormatter
from relay.redaction import redacted

CANARY = "c4n4ry"
BODY = f'{{"token":"{CANARY}"}}'
RAW = "0x02f8" + "ab" * 110


@pytest.mark.parametrize(
    "text",
    [
        f"connecting to postgresql://relay:{CANARY}@db.example/relay",
        f"https://user:{CANARY}@x@node.example/ is silent",
        f"wss://{CANARY}@node.example",
        f"host=db password={CANARY} dbname=relay",
        f"password: '{CANARY}'",
        f'{{"token": "{CANARY}"}}',
        f"Authorization: Bearer {CANARY}",
        f"webhook_secret={CANARY}",
    ],
)
def test_secrets_are_cut_out(text: str) -> None:
    assert CANARY in text
    assert CANARY not in redacted(text)


def test_a_signed_transaction_is_named_and_not_told() -> None:
    assert redacted(f"refused {RAW}: nonce too low") == "refused 0x02f8abab...: nonce too low"


def test_hashes_and_addresses_stay() -> None:
    line = f"transaction 0x{'ab' * 32} of 0x{'cd' * 20} at http://node.example:8545/ with 3 tokens; {'-' * 200}"
    assert redacted(line) == line


@given(st.text())
def test_any_text_is_taken(text: str) -> None:
    assert redacted(redacted(text)) == redacted(text)


@pytest.mark.parametrize("formatter", [TerminalFormatter(), KeyValueFormatter(), JsonFormatter()])
def test_every_form_of_a_line_is_looked_through_with_traceback_and_fields(formatter: logging.Formatter) -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    logger = logging.Logger("relay.tests")
    logger.addHandler(handler)
    try:
        raise ValueError(f"cannot open postgresql://relay:{CANARY}@db/relay")
    except ValueError:
        logger.exception("sending %s", RAW, extra={"to": f"https://x:{CANARY}@y/", "body": BODY})
    assert CANARY not in stream.getvalue()
    assert RAW not in stream.getvalue()
    assert "ValueError" in stream.getvalue()
