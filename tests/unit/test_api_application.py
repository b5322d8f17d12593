"""What the application remembers of requests, so that nobody fills its memory."""

import gzip
from typing import cast

from relay.api.app import create_app
from relay.api.application import Application
from relay.api.routes import PREFIX
from tests.support.fake_services import ADA, CASH, MAX_BODY_BYTES, services, text


def application() -> Application:
    return cast("Application", create_app(services(), max_body_bytes=MAX_BODY_BYTES))


def test_urls_as_long_as_can_be_are_found_but_not_remembered() -> None:
    """Whoever asks with ever new long URLs costs nothing that lasts."""
    app = application()
    for number in range(20):
        # Every name leads to the view of files, which has none of it.
        answer = app.test_client().get(f"{PREFIX}/docs/{number:08}{'x' * 8000}")
        assert (answer.status_code, answer.get_json()["code"]) == (404, "not_found")
    assert app.number_remembered == 0


def test_the_longest_url_of_a_wallet_is_remembered() -> None:
    app = application()
    url = f"{PREFIX}/networks/{text(CASH)}/users/{text(ADA)}/transferredSums/{text(ADA)}"
    answers = {app.test_client().get(url).data for _ in range(3)}
    assert len(answers) == 1
    assert app.number_remembered == 1


def test_a_compressed_body_is_not_unpacked() -> None:
    """A small body that is a large one would be a way around the bound."""
    packed = gzip.compress(b" " * 10_000_000)
    assert len(packed) < MAX_BODY_BYTES
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    answer = application().test_client().post(f"{PREFIX}/relay", data=packed, headers=headers)
    assert (answer.status_code, answer.get_json()["code"]) == (400, "not_json")
