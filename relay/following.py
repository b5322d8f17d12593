"""The part of the composition root that wires what is read: graphs that follow the database, and connections."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from relay.settings import Settings
from relay.share import Share
from relay.store.announcements import Announcements, ReplicaListener
from relay.store.connection import Pool
from relay.store.feed import Commit
from relay.store.guard import Guard
from relay.store.reading import FeedListener, StateReader
from relay.store.replicas import ReplicaPool
from relay.store.status import FollowerBoard
from relay.sync.follower import Follower, Listener
from relay.sync.networks import Networks
from relay.sync.told import Standing

_FOLLOWING_SIZE = 2


@dataclass(frozen=True, slots=True)
class Following:
    """The graphs of this process and what else reads.

    ``pool`` reads what is never older than the graphs, ``primary`` reads where is written. ``listen`` opens a
    listener for commits that come to where ``pool`` reads; ``share`` is None where all networks are held.
    """

    networks: Networks
    pool: Pool
    primary: Pool
    listen: Callable[[], Listener]
    share: Share | None
    follower: Follower
    announcements: Announcements | None

    def start(self) -> None:
        """Follow the database from now on."""
        if self.announcements is not None:
            self.announcements.start()
        self.follower.start()

    def stop(self) -> None:
        """Stop following; returns when that has ended."""
        self.follower.stop()
        if self.announcements is not None:
            self.announcements.stop()


def build_following(
    settings: Settings, process: str, guard: Guard | None = None, standing: Standing | None = None
) -> Following:
    """Return what reads; nothing is opened yet.

    Arguments:
        settings: name the databases.
        process: names this process (host:pid).
        guard: ends vain waits for the primary.
        standing: where this process stands beside others of this machine.

    """
    database, networks = settings.database, Networks(standing)
    share = share_of(settings)
    primary = Pool(database.url, database.pool_size, database.wait_seconds, guard)
    board = FollowerBoard(database.url, process, guard)
    if not database.read_url:
        follower = Follower(StateReader(primary, share), networks, lambda: FeedListener(database.url), board=board)
        return Following(networks, primary, primary, lambda: FeedListener(database.url), share, follower, None)
    announcements = Announcements.at(database.url)

    def listen() -> Listener:
        return ReplicaListener(announcements, lambda: networks.position)

    def seen() -> Commit | None:
        return networks.commit if networks.is_loaded else None

    reading_guard = Guard(database.read_url)
    pool = ReplicaPool(database.read_url, database.pool_size, database.wait_seconds, seen, guard=reading_guard)
    # The follower finds out by itself whether a database leads on, and goes over to another one where it must.
    own = ReplicaPool(database.read_url, _FOLLOWING_SIZE, database.wait_seconds, guard=reading_guard)
    follower = Follower(StateReader(own, share), networks, listen, board=board)
    return Following(networks, pool, primary, listen, share, follower, announcements)


def share_of(settings: Settings) -> Share | None:
    """Return the share of the networks that API processes hold, None for all."""
    return Share.parse(settings.relay.share) if settings.relay.share else None


def only_networks(settings: Settings) -> Settings:
    """Return the settings without what a process that holds a share of the networks leaves to the others."""
    return replace(
        settings,
        streams=replace(settings.streams, enable=False),
        messaging=replace(settings.messaging, enable=False),
        push_notification=replace(settings.push_notification, enable=False),
        exchange=replace(settings.exchange, enable=False),
    )
