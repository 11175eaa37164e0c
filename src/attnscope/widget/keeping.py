"""What is on screen, given back to Python: the pinned tokens, and the call that shows it again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from attnscope.attention.tokens import Tokens


@dataclass(frozen=True)
class Selection:
    """What is pinned and selected.

    Parameters
    ----------
    kind
        Kind of attention.
    heads
        Selected heads as (layer, head).
    queries, keys
        Pinned positions, the one pinned first in front.
    query_tokens, key_tokens
        Their texts.
    """

    kind: str
    heads: list[tuple[int, int]]
    queries: list[int]
    keys: list[int]
    query_tokens: list[str]
    key_tokens: list[str]


class Snapshot:
    """What was on screen, to display without a live view; made by :meth:`AttentionWidget.snapshot`.

    Parameters
    ----------
    bundle
        Its layers, by MIME type.
    words
        What it shows.
    """

    def __init__(self, bundle: Mapping[str, str], words: str) -> None:
        self._bundle = bundle
        self._words = words

    def __repr__(self) -> str:
        return self._words

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {**self._bundle, "text/plain": self._words}


def selection_of(state: Mapping[str, Any], queries: Tokens, keys: Tokens) -> Selection:
    """Read what is selected off the traits."""
    rows = _together(state["query"], state["more_queries"])
    columns = _together(state["key"], state["more_keys"])
    return Selection(
        state["kind"],
        [(layer, head) for layer, head in state["heads"]],
        rows,
        columns,
        [queries[position] for position in rows],
        [keys[position] for position in columns],
    )


def snippet_of(state: Mapping[str, Any], defaults: Mapping[str, Any], comments: Mapping[str, str]) -> str:
    """Write the call that shows a state again: one keyword per trait that is not its default.

    Parameters
    ----------
    state, defaults
        Values of the public traits, now and at first.
    comments
        Comments behind keywords, such as the token at a position.
    """
    lines = [
        f"    {name}={value!r},{comments.get(name, '')}" for name, value in state.items() if value != defaults.get(name)
    ]
    return "\n".join(["AttentionWidget(", "    capture,", *lines, ")"])


def _together(first: int | None, more: Sequence[int]) -> list[int]:
    return [] if first is None else list(dict.fromkeys([first, *more]))
