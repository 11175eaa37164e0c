"""Questions of the page that shows a profile, and their answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from attnscope.errors import AttnscopeError, InputError
from attnscope.wire.profile_pack import snippet
from attnscope.wire.protocol import VERSION, Reply

if TYPE_CHECKING:
    from attnscope.profiling.head_profile import HeadProfile
    from attnscope.profiling.reading import Texts


@dataclass(frozen=True, eq=False)
class Shown:
    """What is asked about.

    Parameters
    ----------
    profile
        The profile.
    texts
        Its texts, where they are known.
    draw
        Draws a state as SVG.
    open_text
        Captures and opens a text, given its number, the statistic it is listed for, and a head; raises where it cannot.
    """

    profile: HeadProfile
    texts: Texts | None
    draw: Callable[[Mapping[str, Any]], str]
    open_text: Callable[[int, str | None, int, int], object]


def answer_profile(shown: Shown, request: Mapping[str, Any]) -> tuple[Reply, list[bytes]]:
    """Answer a request; a bad one gets an error reply.

    ``strongest`` asks for the texts in which a statistic of a head is strongest, ``figure`` for a drawing, ``open`` for
    a text to be captured and shown.
    """
    identity = request.get("id")
    try:
        name = request.get("type")
        if name == "hello":
            return {"id": identity, "type": "hello", "version": VERSION}, []
        if not isinstance(name, str) or name not in _ANSWERS:
            message = f"Unknown request type {name!r}; expected hello, {', '.join(_ANSWERS)}."
            return _refusal(identity, "InputError", message)
        values, info = _ANSWERS[name](shown, request)
    except AttnscopeError as error:
        return _refusal(identity, type(error).__name__, str(error))
    except Exception as error:  # noqa: BLE001 - a model may fail in any way on a text
        return _refusal(identity, type(error).__name__, f"The kernel could not do it: {type(error).__name__}: {error}")
    reply: Reply = {"id": identity, "type": name, "shape": [len(values)], "dtype": "float32", "info": info}
    return reply, [np.ascontiguousarray(values, "<f4").tobytes()]


def _refusal(identity: Any, name: str, message: str) -> tuple[Reply, list[bytes]]:
    return {"id": identity, "error": {"name": name, "message": message}}, []


def _strongest(shown: Shown, request: Mapping[str, Any]) -> tuple[list[float], dict[str, Any]]:
    hits = shown.profile.strongest(_name(request), _count(request, "layer"), _count(request, "head"))
    texts = {} if shown.texts is None else shown.texts.some(hit.text for hit in hits)
    said = {str(number): snippet(text) for number, text in texts.items()}
    return [hit.value for hit in hits], {"texts": [hit.text for hit in hits], "snippets": said}


def _figure(shown: Shown, request: Mapping[str, Any]) -> tuple[list[float], dict[str, Any]]:
    state = request.get("state")
    if not isinstance(state, Mapping):
        raise InputError(f"A figure is asked for with its state, got {state!r}.")
    return [], {"svg": shown.draw(state)}


def _open(shown: Shown, request: Mapping[str, Any]) -> tuple[list[float], dict[str, Any]]:
    statistic = None if request.get("statistic") is None else _name(request)
    shown.open_text(_count(request, "text"), statistic, _count(request, "layer"), _count(request, "head"))
    return [], {}


def _name(request: Mapping[str, Any]) -> str:
    found = request.get("statistic")
    if not isinstance(found, str):
        raise InputError(f"statistic is a name, got {found!r}.")
    return found


def _count(request: Mapping[str, Any], field: str) -> int:
    found = request.get(field)
    if isinstance(found, bool) or not isinstance(found, int) or found < 0:
        raise InputError(f"{field} is a whole number from 0 on, got {found!r}.")
    return found


_ANSWERS: dict[str, Callable[[Shown, Mapping[str, Any]], tuple[list[float], dict[str, Any]]]] = {
    "strongest": _strongest,
    "figure": _figure,
    "open": _open,
}
