"""What the demo tells the person at the keyboard: steps with a spinner on a terminal, plain lines elsewhere."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

FRAMES = ("|", "/", "-", "\\")
BAR_WIDTH = 24
FRAME_SECONDS = 0.12


class Console:
    """Writes to ``stream``; animates only where that is a terminal."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._animated = stream.isatty()

    def say(self, text: str = "") -> None:
        """Write one line, or several."""
        self._stream.write(text + "\n")
        self._stream.flush()

    def is_gone(self) -> bool:
        """Say whether this was a terminal that has been closed since."""
        return self._animated and not self._stream.isatty()

    @contextmanager
    def step(self, text: str) -> Iterator["Step"]:
        """Show that something is going on until the block ends."""
        step = Step(self._stream, text, animated=self._animated)
        step.begin()
        try:
            yield step
        except BaseException:
            step.end("")
            raise
        step.end(step.summary())


class Step:
    """One piece of work on display."""

    def __init__(self, stream: TextIO, text: str, *, animated: bool) -> None:
        self._stream = stream
        self._text = text
        self._animated = animated
        self._started = time.monotonic()
        self._ratio: float | None = None
        self._over = threading.Event()
        self._painter = threading.Thread(target=self._paint, daemon=True)

    def tell(self, text: str) -> None:
        """Show another text from now on."""
        self._text = text
        if not self._animated:
            self._write(f"{text} ...\n")

    def progress(self, done: int, steps: int) -> None:
        """Show that so many of so many steps are done."""
        self._ratio = done / steps if steps else 1.0

    def begin(self) -> None:
        """Start to show the work."""
        if self._animated:
            self._painter.start()
        else:
            self._write(f"{self._text} ...\n")

    def end(self, summary: str) -> None:
        """Stop showing the work and leave ``summary`` behind, if it is not empty."""
        if self._animated:
            self._over.set()
            self._painter.join()
            self._write("\r\x1b[K" + (summary + "\n" if summary else ""))

    def summary(self) -> str:
        """Return the line that remains of the work."""
        return f"[done] {self._text} ({time.monotonic() - self._started:.1f} s)"

    def _paint(self) -> None:
        # The main thread holds signals back at times; then none shall come in through this one.
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        frame = 0
        while not self._over.wait(FRAME_SECONDS):
            bar = ""
            if self._ratio is not None:
                filled = int(self._ratio * BAR_WIDTH)
                bar = f" [{'#' * filled}{'.' * (BAR_WIDTH - filled)}] {self._ratio:4.0%}"
            self._write(f"\r\x1b[K[ {FRAMES[frame % 4]}  ] {self._text}{bar}")
            frame += 1

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()
