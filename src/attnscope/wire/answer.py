"""The one function that answers a request of the page."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from weakref import ref

import numpy as np

from attnscope.attention.kept import once
from attnscope.errors import AttnscopeError, InputError
from attnscope.wire.answers import ANSWERS
from attnscope.wire.protocol import VERSION, Reply
from attnscope.wire.question import Cancelled, Held, Question

if TYPE_CHECKING:
    from attnscope.attention.capture import Capture

__all__ = ["Answer", "Cancelled", "Held", "answer"]

Answer = tuple[Reply, list[bytes]]

NOT_KEPT = ("ablate", "figure", "overview", "overviews", "picture")
"""Questions that are not about a capture alone, or whose numbers are kept already."""


def answer(held: Capture | Held, request: Any, is_cancelled: Callable[[], bool] = lambda: False) -> Answer:
    """Answer a request; a bad one gets an error reply.

    Parameters
    ----------
    held
        What is asked about: a capture, or a capture and what goes with it. It is only read, so any thread may answer.
    request
        What the page sent, see README.md.
    is_cancelled
        Asked between heads.

    Returns
    -------
    Reply, list of bytes
        The reply, and its numbers as at most one little-endian, C-contiguous buffer.

    Raises
    ------
    Cancelled
        When ``is_cancelled`` said so.
    """
    identity = request.get("id") if isinstance(request, Mapping) else None
    try:
        if not isinstance(request, Mapping):
            raise InputError(f"A request is an object with a type, got {type(request).__name__}.")
        name = request.get("type")
        if name == "hello":
            return {"id": identity, "type": "hello", "version": VERSION}, []
        if not isinstance(name, str) or name not in ANSWERS:
            raise InputError(f"Unknown request type {name!r}; expected hello, {', '.join(ANSWERS)} or cancel.")
        question = Question(held if isinstance(held, Held) else Held(held), request, is_cancelled)
        shape, info, data = _answered(name, question)
    except AttnscopeError as error:
        return {"id": identity, "error": {"name": type(error).__name__, "message": str(error)}}, []
    except MemoryError:
        message = "There is not enough memory for this answer. Show fewer tokens or heads at once."
        return {"id": identity, "error": {"name": "TooLargeError", "message": message}}, []
    reply: Reply = {"id": identity, "type": name, "shape": list(shape), "dtype": "float32"}
    if info is not None:
        reply["info"] = json.loads(info)
    return reply, [data]


def _answered(name: str, question: Question) -> tuple[tuple[int, ...], str | None, bytes]:
    """Answer with a shape, ``info`` as JSON and the numbers; kept where the same question has the same answer."""

    def compute() -> tuple[tuple[int, ...], str | None, bytes]:
        numbers = ANSWERS[name](question)
        info = None if numbers.info is None else json.dumps(numbers.info)
        return numbers.values.shape, info, np.ascontiguousarray(numbers.values, "<f4").tobytes()

    if name in NOT_KEPT:
        return compute()
    try:
        asked = json.dumps({key: value for key, value in question.request.items() if key != "id"}, sort_keys=True)
    except (TypeError, ValueError):  # no JSON, so it did not come from a page
        return compute()
    other = question.held.other
    attention = next(iter(question.capture.attention.values()))
    return once(attention, ("answer", asked, None if other is None else ref(other)), compute)
