"""What is reported elsewhere is what an engineer needs, and nothing that belongs to users or lets somebody in."""

from relay import logs
from relay.reporting.sentry import before_send

CANARY = "c4n4ry"


def test_an_event_keeps_what_happened_and_loses_who_it_happened_to() -> None:
    event = {
        "event_id": "1",
        "level": "error",
        "logentry": {
            "message": "password=%s",
            "formatted": f"cannot open postgresql://relay:{CANARY}@db/relay",
            "params": [CANARY],
        },
        "exception": {"values": [{"type": "ValueError", "value": f"token: {CANARY}"}]},
        "user": {"ip_address": CANARY},
        "request": {"url": CANARY, "headers": {"Authorization": CANARY}},
        "server_name": CANARY,
        "extra": {"sys.argv": [CANARY]},
        "breadcrumbs": {"values": [{"message": CANARY}]},
        "tags": {"role": "api"},
    }
    token = logs.request_id.set("the-request")
    try:
        told = before_send(event, {})
    finally:
        logs.request_id.reset(token)
    assert CANARY not in str(told)
    assert told["exception"]["values"][0]["type"] == "ValueError"
    assert told["tags"] == {"role": "api", "request_id": "the-request"}
    assert told["logentry"]["formatted"] == "cannot open postgresql://...@db/relay"


def test_outside_of_requests_there_is_no_request_to_name() -> None:
    assert before_send({"level": "error"}, {}) == {"level": "error"}
