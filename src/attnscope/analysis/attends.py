"""Does some head link two tokens, as a test of a model wants it to?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attnscope.analysis.find_heads import links
from attnscope.analysis.rows import attention_of
from attnscope.errors import InputError

if TYPE_CHECKING:
    from attnscope.attention.capture import Attention, Capture

SHOWN = 5
"""Heads a failure names."""


def assert_attends(
    c: Capture,
    query: int | str,
    key: int | str,
    *,
    at_least: float,
    layer: int | None = None,
    head: int | None = None,
    kind: str | None = None,
) -> None:
    """Fail unless some head gives a key at least some weight.

    Parameters
    ----------
    query, key
        The token that attends and the token attended to: a position, a token or a word (the first occurrence).
    at_least
        The weight, above 0 and at most 1.
    layer, head
        Only heads of this layer, or with this number; None for any.

    Raises
    ------
    AssertionError
        Says what was expected, what was found and which heads come nearest.
    NotFoundError
        For a token, layer or head that is not there.
    InputError
        For a weight that cannot be one, or a mask that hides the key from the query in all of these heads.
    """
    if isinstance(at_least, bool) or not isinstance(at_least, int | float) or not 0 < at_least <= 1:
        raise InputError(f"at_least is a weight, above 0 and at most 1; got {at_least!r}.")
    attention = attention_of(c, kind)
    if layer is not None:
        attention.layer(layer)
    if head is not None:
        widest = max(attention.stored, key=lambda number: attention.layer(number).n_heads)
        attention.head(widest if layer is None else layer, head)
    i, j = attention.queries.position(query), attention.keys.position(key)
    found = [
        link
        for link in links(attention, i, j)
        if (layer is None or link[1] == layer) and (head is None or link[2] == head)
    ]
    asked = f"{_named(attention.queries.text[i], i)} to {_named(attention.keys.text[j], j)}"
    if not found:
        raise InputError(f"No head can link {asked}: the mask hides the key from the query.")
    best = sorted(found, key=lambda link: (-link[0], link[1], link[2]))
    if not best[0][0] >= at_least:
        raise AssertionError(_failure(attention, i, asked, at_least, best, _which(layer, head)))


def _named(token: str, position: int) -> str:
    return f"{token!r} ({position})"


def _which(layer: int | None, head: int | None) -> str:
    if layer is None:
        return "any head" if head is None else f"head {head} of any layer"
    return f"some head of layer {layer}" if head is None else f"layer {layer} head {head}"


def _failure(
    attention: Attention, i: int, asked: str, at_least: float, best: list[tuple[float, int, int, int]], which: str
) -> str:
    weight, layer, head, _ = best[0]
    row = attention.weights(layer, head, queries=i)
    first = int(row.argmax())
    lines = [
        f"Expected {which} to attend from {asked} with a weight of at least {at_least:g}; "
        f"the largest of {len(best)} is {weight:.4g}.",
        "Best heads:",
        *(f"  layer {at} head {h}: {w:.4g} (rank {rank} among its keys)" for w, at, h, rank in best[:SHOWN]),
        f"Layer {layer} head {head} attends most to {_named(attention.keys.text[first], first)}, "
        f"with {row[first]:.4g}.",
    ]
    return "\n".join(lines)
