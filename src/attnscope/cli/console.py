"""What the command says, and where: results on stdout, progress on stderr."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from threading import Event, Thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Console:
    """Says what is done.

    Parameters
    ----------
    quiet
        Whether only errors and warnings are said.
    """

    def __init__(self, *, quiet: bool) -> None:
        self.quiet = quiet
        self.live = not quiet and sys.stderr.isatty()

    def say(self, text: str) -> None:
        """Say a result."""
        if not self.quiet:
            print(text)

    def wrote(self, path: Path, what: str) -> None:
        """Say which file was written, its size and what it shows."""
        self.say(f"{path} ({_size(path.stat().st_size)}): {what}")

    @contextmanager
    def step(self, doing: str) -> Iterator[None]:
        """Say on a terminal what is being done and for how long, and take it back when it is done."""
        if not self.live:
            yield
            return
        done = Event()
        clock = Thread(target=_tick, args=(doing, done), daemon=True)
        clock.start()
        try:
            yield
        finally:
            done.set()
            clock.join()
            _show("")


def _tick(doing: str, done: Event) -> None:
    started = time.monotonic()
    _show(f"{doing} …")
    while not done.wait(1):
        _show(f"{doing} … {time.monotonic() - started:.0f} s")


def _show(line: str) -> None:
    sys.stderr.write(f"\r\033[K{line}")
    sys.stderr.flush()


def _size(n_bytes: int) -> str:
    return f"{n_bytes / 1e3:.0f} kB" if n_bytes < 1e6 else f"{n_bytes / 1e6:.1f} MB"
