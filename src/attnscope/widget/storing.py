"""Filling the notebook's place for what a page without a kernel needs."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Any

from attnscope.wire.budget import compressed_as, work

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from attnscope.attention.capture import Capture
    from attnscope.wire.budget import Embed

PATIENT = 1 << 27
"""Most multiplications spent on statistics of the heads for a notebook that may never be saved."""


class Store:
    """Packs what is to be stored, and sends it where the notebook keeps it.

    Parameters
    ----------
    send
        Sends the bytes.
    """

    def __init__(self, send: Callable[[bytes], object]) -> None:
        self._send = send
        self._lock = Lock()
        self._thread: ThreadPoolExecutor | None = None
        self._wish: tuple[Any, ...] | None = None
        self._is_whole = False
        self._sent = b""

    def fill(
        self,
        capture: Capture,
        other: Capture | None,
        state: Mapping[str, Any],
        embed: Embed,
        megabytes: float,
        *,
        has: int | None = None,
    ) -> None:
        """Send what is to be stored, unless it is there.

        Parameters
        ----------
        capture, other
            The capture shown, and the one it is compared with.
        state
            The public traits; what they select goes first where there is no room for all.
        embed, megabytes
            What to store, and the room there is.
        has
            How many bytes are there; None if that is not known.
        """
        with self._lock:
            before = self._sent
            wish = (capture, other, embed, megabytes, state["kind"], state["heads"])
            known = 4 if self._is_whole else len(wish)
            if self._wish is None or self._wish[:known] != wish[:known]:
                judged = embed == "all" or work(capture) <= PATIENT
                packed = compressed_as(embed, megabytes, capture, state, other, judged=judged)
                self._sent, self._is_whole = (packed.data, packed.is_whole) if packed else (b"", False)
                self._wish = wish
            if self._sent != before or has not in (None, len(self._sent)):
                self._send(self._sent)

    def fill_later(self, *given: Any, has: int) -> None:
        """Do so on a thread beside the kernel's, so that nothing on screen waits for it."""
        with self._lock:
            self._thread = self._thread or ThreadPoolExecutor(max_workers=1, thread_name_prefix="attnscope-store")
        self._thread.submit(partial(self.fill, *given, has=has))

    def clear(self) -> None:
        """Empty it: what is there is not of the capture shown."""
        with self._lock:
            if self._sent:
                self._send(b"")
            self._wish, self._sent, self._is_whole = None, b"", False

    def close(self) -> None:
        """Send nothing more."""
        if self._thread is not None:
            self._thread.shutdown(wait=False, cancel_futures=True)
