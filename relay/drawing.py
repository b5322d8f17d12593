"""Pictures of networks, drawn with matplotlib where it is installed (the extra ``picture``)."""

import heapq
import io
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from importlib.util import find_spec

import networkx as nx

from graph.network import NetworkGraph
from graph.trustline import User

MOST_USERS = 300
"""So many users are drawn at most, those with the most trustlines: more are a blot, and take long."""

_KEPT = 64
_FRESH_SECONDS = 10.0
_LABELLED = 60


@dataclass(frozen=True, slots=True)
class Sketch:
    """What of a network is to be drawn: some of its users and the trustlines among them, by the users' places.

    Each trustline comes with whether it is frozen. ``user_count`` and ``trustline_count`` are those of all.
    """

    name: str
    users: tuple[User, ...]
    trustlines: tuple[tuple[int, int, bool], ...]
    user_count: int
    trustline_count: int


def sketch(network: NetworkGraph, name: str, most: int = MOST_USERS) -> Sketch:
    """Choose what is drawn: users without a trustline are not, and of many those with the most trustlines."""
    adjacent = network.graph.adj
    active = (user for user in adjacent if adjacent[user])
    users = sorted(heapq.nlargest(most, active, key=lambda user: (len(adjacent[user]), user)))
    places = {user: place for place, user in enumerate(users)}
    trustlines = [
        (place, places[other], not network.lets_pass(user, other))
        for user, place in places.items()
        for other in adjacent[user]
        if places.get(other, -1) > place
    ]
    return Sketch(
        name, tuple(users), tuple(sorted(trustlines)), network.number_of_users, network.number_of_trustlines
    )


def can_draw() -> bool:
    """Return whether matplotlib is installed."""
    return find_spec("matplotlib") is not None


class Draughtsman:
    """Draws one picture at a time and keeps the last ones; safe for threads."""

    def __init__(
        self, fresh_seconds: float = _FRESH_SECONDS, clock: Callable[[], float] = time.monotonic, kept: int = _KEPT
    ) -> None:
        """A picture is given out again for ``fresh_seconds`` whatever happens, and as long as nothing changed."""
        self._fresh_seconds = fresh_seconds
        self._clock = clock
        self._kept = kept
        self._lock = threading.Lock()
        self._pictures: OrderedDict[Hashable, tuple[float, Sketch, bytes]] = OrderedDict()

    def picture(self, key: Hashable, kind: str, take: Callable[[], Sketch]) -> bytes:
        """Return a picture, ``kind`` svg or png, of what ``take`` finds; ``key`` names what is drawn."""
        with self._lock:
            drawn = self._pictures.get((key, kind))
            if drawn is not None and self._clock() - drawn[0] < self._fresh_seconds:
                return drawn[2]
            found = take()
            picture = drawn[2] if drawn is not None and drawn[1] == found else _draw(found, kind)
            self._pictures[key, kind] = (self._clock(), found, picture)
            self._pictures.move_to_end((key, kind))
            while len(self._pictures) > self._kept:
                self._pictures.popitem(last=False)
            return picture


def _draw(what: Sketch, kind: str) -> bytes:
    # Loaded when there is something to draw: it takes half a second and 50 MB.
    import matplotlib as mpl  # noqa: PLC0415
    from matplotlib.collections import LineCollection  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    places = _layout(what)
    figure = Figure(figsize=(10, 10))
    axes = figure.add_axes((0.03, 0.03, 0.94, 0.9))
    axes.set_axis_off()
    axes.set_title(_title(what), parse_math=False)
    for wanted, style in ((False, "solid"), (True, "dotted")):
        lines = [(places[one], places[other]) for one, other, is_frozen in what.trustlines if is_frozen is wanted]
        axes.add_collection(LineCollection(lines, colors="#7a93ac", linewidths=0.8, linestyles=style, zorder=1))
    if places:
        axes.scatter([x for x, _ in places], [y for _, y in places], s=40, color="#1f4e79", zorder=2)
    if len(what.users) <= _LABELLED:
        for user, place in zip(what.users, places, strict=True):
            axes.annotate(user.hex()[:4], place, textcoords="offset points", xytext=(6, 4), fontsize=8)
    buffer = io.BytesIO()
    # The same network gives the same picture, to the byte.
    with mpl.rc_context({"svg.hashsalt": "trustlines"}):
        figure.savefig(buffer, format=kind, metadata={"Date": None} if kind == "svg" else None)
    return buffer.getvalue()


def _title(what: Sketch) -> str:
    shown = "" if len(what.users) < MOST_USERS else f" (the {len(what.users)} best connected are drawn)"
    return f"{what.name}: {what.user_count} users{shown}, {what.trustline_count} trustlines"


def _layout(what: Sketch) -> list[tuple[float, float]]:
    network: nx.Graph[int] = nx.Graph()
    network.add_nodes_from(range(len(what.users)))
    network.add_edges_from((one, other) for one, other, _ in what.trustlines)
    found = nx.spring_layout(network, seed=1)
    return [(float(x), float(y)) for x, y in (found[place] for place in range(len(what.users)))]
