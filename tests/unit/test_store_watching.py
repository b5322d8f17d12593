"""What acts on announcements for good: it begins anew after trouble, and complains of it once."""

from relay.store.errors import DatabaseBusy, DatabaseUnreachable
from relay.store.watching import Watcher

LONG = 10


class Ear:
    """Something that listens."""

    def __init__(self) -> None:
        self.is_closed = False

    def close(self) -> None:
        self.is_closed = True


class Scripted(Watcher[Ear]):
    """Has in each round the error that comes next, or none; after the last it stops."""

    passing = (DatabaseBusy,)

    def __init__(self, *rounds: Exception | None) -> None:
        super().__init__("scripted", self._open, 0.001)
        self._rounds = list(rounds)
        self.ears: list[Ear] = []
        self.heard_by: list[int] = []
        self.begun = self.ended = self.recovered = 0
        self.failed: list[tuple[type[Exception], bool]] = []

    def play(self) -> "Scripted":
        self.start()
        self._thread.join(LONG)
        assert not self._thread.is_alive()
        return self

    def _open(self) -> Ear:
        self.ears.append(Ear())
        return self.ears[-1]

    def _begin(self) -> None:
        self.begun += 1

    def _wait(self, listener: Ear) -> None:
        self.heard_by.append(self.ears.index(listener))
        error = self._rounds.pop(0)
        if not self._rounds:
            self.stop()
        if error is not None:
            raise error

    def _fail(self, error: Exception, *, is_news: bool) -> None:
        self.failed.append((type(error), is_news))

    def _recover(self) -> None:
        self.recovered += 1

    def _end(self) -> None:
        self.ended += 1


def test_after_an_error_it_begins_anew_with_another_listener() -> None:
    watcher = Scripted(None, DatabaseUnreachable("gone"), None, None).play()
    assert watcher.heard_by == [0, 0, 1, 1]
    assert watcher.begun == 2
    assert all(ear.is_closed for ear in watcher.ears)
    assert watcher.ended == 1


def test_an_error_that_says_nothing_of_the_listener_keeps_it() -> None:
    watcher = Scripted(None, DatabaseBusy("busy"), None).play()
    assert watcher.heard_by == [0, 0, 0]
    assert watcher.begun == 1


def test_trouble_is_news_once_for_each_kind_and_over_after_a_whole_round() -> None:
    gone, busy = DatabaseUnreachable("gone"), DatabaseBusy("busy")
    watcher = Scripted(gone, gone, busy, None, gone, None).play()
    kinds = (DatabaseUnreachable, DatabaseUnreachable, DatabaseBusy, DatabaseUnreachable)
    assert watcher.failed == list(zip(kinds, (True, False, True, True), strict=True))
    assert watcher.recovered == 2


def test_what_nobody_thought_of_ends_nothing() -> None:
    watcher = Scripted(ZeroDivisionError(), None).play()
    assert watcher.failed == [(ZeroDivisionError, True)]
    assert watcher.heard_by == [0, 1]


def test_a_listener_that_cannot_be_opened_is_tried_again() -> None:
    class Late(Scripted):
        def _open(self) -> Ear:
            if not self.failed:
                raise DatabaseUnreachable("not yet")
            return super()._open()

    watcher = Late(None).play()
    assert watcher.heard_by == [0]
    assert watcher.failed == [(DatabaseUnreachable, True)]
