"""What was computed of a capture and may be asked for again, within a number of bytes."""

from __future__ import annotations

import threading
from collections import OrderedDict
from concurrent.futures import Future
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakKeyDictionary, ref

import numpy as np

from attnscope.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable

    from attnscope.attention.capture import Capture
    from attnscope.attention.kind import Attention

CACHE_BYTES = 1 << 28
"""Most bytes kept of one capture, where :func:`limit_cache` says nothing else: 256 MiB."""
ENTRY_BYTES = 512
"""Bytes an answer counts for beside its numbers."""

T = TypeVar("T")


class Kept:
    """Answers by question, those longest unused dropped first; any thread may ask.

    Arrays in answers become read-only, so that what is given again is what was computed.
    """

    def __init__(self) -> None:
        self.limit: int | None = None
        self._lock = threading.Lock()
        self._answers: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()
        self._nbytes = 0
        self._underway: dict[Hashable, tuple[int, Future[Any]]] = {}
        self._alone: dict[str, threading.RLock] = {}

    @property
    def most(self) -> int:
        """Most bytes it holds."""
        return _default if self.limit is None else self.limit

    @property
    def nbytes(self) -> int:
        """Bytes it holds."""
        return self._nbytes

    def get(self, question: Hashable, compute: Callable[[], T]) -> T:
        """Give the answer to a question; computed once, also where several threads ask at the same time.

        An error is raised to whom it happens, and whoever else waits computes for himself.
        """
        while True:
            with self._lock:
                if question in self._answers:
                    self._answers.move_to_end(question)
                    return self._answers[question][0]
                thread, underway = self._underway.get(question, (0, None))
                if underway is None:
                    mine: Future[list[T]] = Future()
                    self._underway[question] = threading.get_ident(), mine
                    break
            if thread == threading.get_ident():
                return compute()
            for answer in underway.result():
                return answer
        answers: list[T] = []
        try:
            answers.append(compute())
            self.put(question, answers[0])
        finally:
            with self._lock:
                del self._underway[question]
            mine.set_result(answers)
        return answers[0]

    def alone(self, topic: str) -> threading.RLock:
        """Give the lock of those who answer several questions of a topic in one go."""
        with self._lock:
            return self._alone.setdefault(topic, threading.RLock())

    def find(self, question: Hashable) -> Any:
        """Give the answer to a question if it is kept, else None."""
        with self._lock:
            if question not in self._answers:
                return None
            self._answers.move_to_end(question)
            return self._answers[question][0]

    def put(self, question: Hashable, answer: Any) -> None:
        """Keep an answer, if it is not larger than there is room for at all."""
        size = ENTRY_BYTES + _size(_read_only(answer))
        with self._lock:
            self._drop(question)
            self._shrink(self.most - size)
            if size <= self.most:
                self._answers[question] = answer, size
                self._nbytes += size

    def shrink(self) -> None:
        """Drop what is beyond the limit."""
        with self._lock:
            self._shrink(self.most)

    def _shrink(self, most: int) -> None:
        if most < 0 <= self.most:
            return  # what is too large for all the room pushes nothing out
        while self._answers and self._nbytes > most:
            self._drop(next(iter(self._answers)))

    def _drop(self, question: Hashable) -> None:
        _, size = self._answers.pop(question, (None, 0))
        self._nbytes -= size


_kept: WeakKeyDictionary[Attention, Kept] = WeakKeyDictionary()
_lock = threading.Lock()
_default = CACHE_BYTES


def kept(attention: Attention) -> Kept:
    """Give what is kept of an attention's capture."""
    with _lock:
        return _kept.setdefault(attention, Kept())


def share(attentions: Iterable[Attention]) -> None:
    """Give the kinds of attention of one capture one limit together."""
    with _lock:
        attentions = list(attentions)
        one = next((_kept[attention] for attention in attentions if attention in _kept), Kept())
        for attention in attentions:
            _kept[attention] = one


def once(attention: Attention, question: tuple[Hashable, ...], compute: Callable[[], T]) -> T:
    """Give the answer to a question about an attention, computed the first time; see :meth:`Kept.get`."""
    return kept(attention).get(about(attention, *question), compute)


def about(attention: Attention, *question: Hashable) -> Hashable:
    """Name a question about an attention, without holding on to the attention."""
    return ref(attention), *question


def limit_cache(nbytes: int, capture: Capture | None = None) -> int:
    """Say how much is kept of what was computed of a capture, to answer the same question again at once.

    Overviews, blocks of rows, statistics of heads and answers to the page are kept, those longest unused dropped first.
    They never change what is read, and live no longer than their capture. A captured array that is changed in place is
    not noticed: what was computed of it before is given again. Make a new capture of it, or keep nothing.

    Parameters
    ----------
    nbytes
        Most bytes per capture; 0 keeps nothing.
    capture
        The capture this is for; None for all those for which nothing else was said, also later ones.

    Returns
    -------
    int
        The limit that held before.

    Raises
    ------
    InputError
        For anything but a number of bytes, 0 or more.

    Examples
    --------
    >>> before = limit_cache(64_000_000)
    >>> limit_cache(before)
    64000000
    """
    global _default
    if isinstance(nbytes, bool) or not isinstance(nbytes, int | np.integer) or nbytes < 0:
        raise InputError(f"A limit is a number of bytes, 0 to keep nothing; got {nbytes!r}.")
    if capture is None:
        before, _default = _default, int(nbytes)
        with _lock:
            holders = set(_kept.values())
    else:
        holders = {kept(attention) for attention in capture.attention.values()}
        before = max(one.most for one in holders)
        for one in holders:
            one.limit = int(nbytes)
    for one in holders:
        one.shrink()
    return before


def _parts(answer: Any) -> Iterable[Any]:
    """What an answer is made of."""
    if isinstance(answer, dict):
        return [*answer, *answer.values()]
    if isinstance(answer, list | tuple | set):
        return answer
    if is_dataclass(answer):
        return [getattr(answer, field.name) for field in fields(answer)]
    return ()


def _size(answer: Any) -> int:
    """Bytes of the arrays, texts and numbers in an answer."""
    if isinstance(answer, np.ndarray):
        return answer.nbytes if answer.base is None else max(answer.nbytes, getattr(answer.base, "nbytes", 0))
    if isinstance(answer, bytes | str):
        return len(answer)
    return 32 + sum(map(_size, _parts(answer)))


def _read_only(answer: T) -> T:
    """Make the arrays in an answer read-only."""
    if isinstance(answer, np.ndarray):
        answer.flags.writeable = False
    for part in _parts(answer):
        _read_only(part)
    return answer
