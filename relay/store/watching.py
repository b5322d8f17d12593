"""A thread that acts on what the database announces, and begins anew after whatever trouble."""

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar, Generic, Protocol, TypeVar


class Closable(Protocol):
    """What listens on a connection of its own."""

    def close(self) -> None:
        """Stop listening."""


L = TypeVar("L", bound=Closable)


class Watcher(ABC, Generic[L]):
    """Acts and waits in turn, in a thread of its own, from ``start`` until ``stop``.

    Whatever fails, an error that nobody thought of too, the next round begins after a pause. It begins with a new
    listener, as announcements may have been missed, unless the error is one of ``passing``.
    """

    passing: ClassVar[tuple[type[Exception], ...]] = ()
    """Errors that say nothing of the connection on which is listened."""

    def __init__(self, name: str, listen: Callable[[], L], retry_seconds: float) -> None:
        """Prepare a thread of that name; ``listen`` opens a new listener."""
        self._listen = listen
        self._retry_seconds = retry_seconds
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin, and go on until ``stop``."""
        self._thread.start()

    def stop(self) -> None:
        """Let the present round be the last."""
        self._stopping.set()

    def _begin(self) -> None:
        """Make up for what was announced before the listener was opened; nothing can be missed from now on."""

    def _act(self) -> None:
        """Do what there is to do before the next announcement."""

    @abstractmethod
    def _wait(self, listener: L) -> None:
        """Wait for an announcement, for about a second at most."""

    @abstractmethod
    def _fail(self, error: Exception, *, is_news: bool) -> None:
        """Take note of an error; it is no news if the round before ended with one of its kind."""

    def _recover(self) -> None:
        """Take note that a round was without error again."""

    def _end(self) -> None:
        """Leave nothing behind when the thread ends."""

    def _run(self) -> None:
        listener: L | None = None
        trouble: type[Exception] | None = None
        while not self._stopping.is_set():
            try:
                if listener is None:
                    listener = self._listen()
                    self._begin()
                self._act()
                self._wait(listener)
                if trouble is not None:
                    trouble = None
                    self._recover()
            except Exception as error:  # whatever it is: those who depend on this must not wait for good
                self._fail(error, is_news=trouble is not type(error))
                trouble = type(error)
                if listener is not None and not isinstance(error, self.passing):
                    listener.close()
                    listener = None
                self._stopping.wait(self._retry_seconds)
        if listener is not None:
            listener.close()
        self._end()
