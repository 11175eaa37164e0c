"""The view on screen as a drawing of vectors, which the page saves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from attnscope.errors import InputError
from attnscope.wire.question import Numbers

if TYPE_CHECKING:
    from attnscope.wire.question import Question


def figure(question: Question) -> Numbers:
    """Answer with an SVG in ``info``: of a public state, and what only the page knows of its view."""
    state, choices, draw = question.get("state"), question.get("choices", {}), question.held.draw
    if not isinstance(state, Mapping) or not isinstance(choices, Mapping):
        raise InputError("A figure needs the page's state, and its choices, as objects.")
    if draw is None:
        raise InputError("Nobody draws here: a figure is for pages with a widget behind them.")
    question.go_on()
    return Numbers(info={"svg": draw({**state, "choices": dict(choices)})})
