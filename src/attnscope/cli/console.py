"""What the command says, and where: results on stdout, progress on stderr."""

from __future__ import annotations

import sys
from contextlib import contextmanager
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
        """Say on a terminal what is being done, and take it back when it is done."""
        if self.live:
            sys.stderr.write(f"\r\033[K{doing} …")
            sys.stderr.flush()
        try:
            yield
        finally:
            if self.live:
                sys.stderr.write("\r\033[K")
                sys.stderr.flush()


def _size(n_bytes: int) -> str:
    return f"{n_bytes / 1e3:.0f} kB" if n_bytes < 1e6 else f"{n_bytes / 1e6:.1f} MB"
