"""Networks as a table and as a picture."""

import csv
import io
import xml.etree.ElementTree as ET

import pytest

from graph.network import NetworkGraph, Rules
from graph.trustline import Trustline
from relay.drawing import Draughtsman, Sketch, sketch
from tests.support.fake_services import ADA, BO, CASH, CASH_INFO, CY, DEE, NOW, STRANGER, client, graphs, text

URL = f"/api/v1/networks/{text(CASH)}"
PNG = b"\x89PNG\r\n\x1a\n"


def test_the_dump_has_a_row_for_each_open_trustline() -> None:
    answer = client().get(f"{URL}/dump")
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert answer.headers["Content-Disposition"] == "attachment; filename=networkdump.csv"
    header, *rows = csv.reader(io.StringIO(answer.get_data(as_text=True)))
    assert header[:5] == ["Address A", "Address B", "Balance AB", "Creditline AB", "Creditline BA"]
    assert header[5:] == ["Interest Rate AB", "Interest Rate BA", "Is Frozen"]
    assert rows == [
        [text(ADA), text(BO), "-50", "400", "1000", "200", "100", "False"],
        [text(ADA), text(DEE), "30", "60", "90", "0", "0", "True"],
        [text(BO), text(CY), "300", "700", "500", "0", "0", "False"],
    ]


def test_the_dump_contains_the_interest_up_to_now() -> None:
    networks = graphs([Trustline(ADA, BO, balance=1_000_000, rate_given=1000, mtime=NOW)])
    answer = client(networks=networks, clock=lambda: NOW + 31_536_000).get(f"{URL}/dump")
    assert answer.get_data(as_text=True).splitlines()[1].split(",")[2] == "1105170"


def test_a_network_is_drawn_as_svg_with_its_name_and_its_users() -> None:
    answer = client(pictures=Draughtsman()).get(f"{URL}/image")
    assert answer.headers["Content-Type"].startswith("image/svg+xml")
    assert ET.fromstring(answer.get_data()).tag.endswith("svg")
    drawn = answer.get_data(as_text=True)
    assert "Cäsh (CASH): 5 users, 3 trustlines" in drawn
    for user in (ADA, BO, CY, DEE):
        assert user.hex()[:4] in drawn


@pytest.mark.parametrize(
    ("query", "accept", "kind"),
    [
        ("?format=png", "*/*", "png"),
        ("", "image/png", "png"),
        ("", "image/avif,image/webp,image/png,image/svg+xml;q=0.8", "png"),
        ("", "*/*", "svg"),
        ("", "image/*", "svg"),
        ("?format=svg", "image/png", "svg"),
    ],
)
def test_who_asks_chooses_the_format(query: str, accept: str, kind: str) -> None:
    answer = client(pictures=Draughtsman()).get(f"{URL}/image{query}", headers={"Accept": accept})
    assert answer.status_code == 200
    assert (answer.get_data().startswith(PNG)) == (kind == "png")


def test_other_formats_are_refused() -> None:
    api = client(pictures=Draughtsman())
    assert api.get(f"{URL}/image?format=gif").status_code == 422
    assert api.get(f"{URL}/image", headers={"Accept": "image/gif"}).status_code == 406


def test_without_anything_to_draw_with_there_is_no_picture() -> None:
    assert client().get(f"{URL}/image").status_code == 404
    assert client().get(f"/api/v1/networks/{text(STRANGER)}/dump").status_code == 404
    assert client(pictures=Draughtsman()).get(f"/api/v1/networks/{text(STRANGER)}/image").status_code == 404


def test_an_empty_network_is_drawn_too() -> None:
    answer = client(networks=graphs([]), pictures=Draughtsman()).get(f"{URL}/image?format=png")
    assert answer.get_data().startswith(PNG)


@pytest.mark.parametrize("name", [r"$\x </svg>", "--><script>alert(1)</script><!--", "$", "]]>&amp;"])
def test_a_name_is_text_whatever_it_says(name: str) -> None:
    picture = Draughtsman().picture("any", "svg", lambda: Sketch(name, (ADA, BO), ((0, 1, False),), 2, 1))
    tags = {element.tag.rpartition("}")[2] for element in ET.fromstring(picture).iter()}
    assert "svg" in tags
    assert "script" not in tags


def test_of_a_large_network_the_best_connected_are_drawn() -> None:
    users = [bytes([number]) * 20 for number in range(1, 60)]
    lines = [Trustline(users[0], other, given=1) for other in users[1:]]
    lines.append(Trustline(users[7], users[8], given=1, is_frozen=True))
    found = sketch(NetworkGraph(Rules(), lines), "Star", most=3)
    assert found.users == (users[0], users[7], users[8])
    assert found.trustlines == ((0, 1, False), (0, 2, False), (1, 2, True))
    assert (found.user_count, found.trustline_count) == (59, 59)


def test_a_picture_is_drawn_again_only_when_something_changed_and_not_all_the_time() -> None:
    now = [100.0]
    draughtsman = Draughtsman(fresh_seconds=10, clock=lambda: now[0])
    taken = []

    def take(lines: int) -> bytes:
        def sketch_it() -> Sketch:
            taken.append(lines)
            return Sketch("Any", (ADA, BO), ((0, 1, False),), 2, lines)

        return draughtsman.picture("any", "svg", sketch_it)

    first = take(1)
    assert take(2) is first
    assert taken == [1], "within ten seconds nobody looks"
    now[0] += 11
    assert take(1) is first
    now[0] += 11
    assert take(2) != first
    assert taken == [1, 1, 2]


def test_only_the_latest_pictures_are_kept() -> None:
    draughtsman = Draughtsman(kept=2)
    for number in range(4):
        draughtsman.picture(number, "png", lambda: Sketch(CASH_INFO.name, (), (), 0, 0))
    assert len(draughtsman._pictures) == 2
