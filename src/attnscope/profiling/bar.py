"""How far a profile has come, on the screen."""

from __future__ import annotations

from typing import Any


class Bar:
    """A progress bar over texts.

    Parameters
    ----------
    count
        Texts there are; None where that is not known.
    done
        Texts gone through before.
    shown
        Whether there is a bar at all.
    """

    def __init__(self, count: int | None, done: int, *, shown: bool) -> None:
        self._bar: Any = None
        if shown:
            from tqdm.auto import tqdm

            self._bar = tqdm(total=count, initial=done, desc="profile", unit="text")

    def move(self, done: int) -> None:
        """Show how many texts have been gone through."""
        if self._bar is not None:
            self._bar.update(done - self._bar.n)

    def close(self) -> None:
        """Leave the bar as it stands."""
        if self._bar is not None:
            self._bar.close()
