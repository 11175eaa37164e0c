"""Answering the page's requests on threads beside the kernel's, so that they can be cancelled; one for each lane."""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from attnscope.wire.answer import Cancelled, Held, answer
from attnscope.wire.lanes import LANES, lane_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from attnscope.wire.protocol import Reply

    Send = Callable[[Reply, list[bytes]], None]

MOST_WAITING = 256
"""Requests kept waiting; a page that asks for more is refused."""


class RequestDesk:
    """Takes the page's messages and sends the answers.

    Parameters
    ----------
    held
        What is asked about.
    send
        Sends a reply and its buffers to the page; called from the desk's threads, one reply at a time.
    """

    def __init__(self, held: Held, send: Send) -> None:
        self._held = held
        self._send = send
        self._lock = threading.Lock()
        self._waiting: dict[Any, Future[None]] = {}
        self._cancelled: set[Any] = set()
        self._sending = threading.Lock()
        self._threads = {lane: ThreadPoolExecutor(1, thread_name_prefix=f"attnscope-{lane}") for lane in LANES}

    def show(self, held: Held) -> None:
        """Answer from something else from now on; what waits is dropped, as it asks about what is gone."""
        with self._lock:
            waiting, self._held = list(self._waiting), held
        for identity in waiting:
            self._cancel(identity)

    def take(self, message: Any) -> None:
        """Take one message: a request is answered in turn in its lane, a cancel drops the request it names."""
        if isinstance(message, dict) and message.get("type") == "cancel":
            self._cancel(message.get("id"))
            return
        identity = message.get("id") if isinstance(message, dict) else None
        if not isinstance(identity, str | int):
            self._send(*answer(self._held, message))
            return
        with self._lock:
            if len(self._waiting) >= MOST_WAITING:
                refusal = f"More than {MOST_WAITING} requests are waiting. Cancel those no longer needed."
                self._send({"id": identity, "error": {"name": "InputError", "message": refusal}}, [])
                return
            try:
                self._waiting[identity] = self._threads[lane_of(message)].submit(self._answer, message, identity)
            except RuntimeError:
                return

    def close(self) -> None:
        """Drop everything that waits or is at work, and stop."""
        with self._lock:
            waiting = list(self._waiting)
        for identity in waiting:
            self._cancel(identity)
        for thread in self._threads.values():
            thread.shutdown(wait=False, cancel_futures=True)

    def _cancel(self, identity: Any) -> None:
        with self._lock:
            future = self._waiting.get(identity) if isinstance(identity, str | int) else None
            if future is None:
                return
            if future.cancel():
                del self._waiting[identity]
            else:
                self._cancelled.add(identity)

    def _answer(self, message: dict[str, Any], identity: str | int) -> None:
        try:
            reply, buffers = answer(self._held, message, lambda: identity in self._cancelled)
            if identity not in self._cancelled:
                self._hand_over(reply, buffers)
        except Cancelled:
            pass
        except Exception as error:  # noqa: BLE001
            message_text = f"The kernel could not answer: {type(error).__name__}: {error}"
            self._hand_over({"id": identity, "error": {"name": type(error).__name__, "message": message_text}}, [])
        finally:
            with self._lock:
                self._waiting.pop(identity, None)
                self._cancelled.discard(identity)

    def _hand_over(self, reply: Reply, buffers: list[bytes]) -> None:
        with self._sending:
            self._send(reply, buffers)
