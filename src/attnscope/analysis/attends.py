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
    at_least: float | None = None,
    at_most: float | None = None,
    layer: int | None = None,
    head: int | None = None,
    kind: str | None = None,
) -> None:
    """Fail unless some head gives a key at least some weight, or unless no head gives it more than some.

    Parameters
    ----------
    query, key
        The token that attends and the token attended to: a position, a token or a word (the first occurrence).
    at_least
        The weight some head must give, above 0 and at most 1.
    at_most
        The weight no head may exceed, from 0 to below 1. Give either bound, or both.
    layer, head
        Only heads of this layer, or with this number; None for any.

    Raises
    ------
    AssertionError
        Says what was expected, what was found and which heads come nearest.
    NotFoundError
        For a token, layer or head that is not there.
    InputError
        For a weight that cannot be one, for no bound at all, or for a mask that hides the key from the query in all of
        these heads.

    Examples
    --------
    >>> analysis.assert_attends(c, "cat", "the", at_least=0.5)
    >>> analysis.assert_attends(c, "cat", "the", at_most=0.5)
    Traceback (most recent call last):
        ...
    AssertionError: Expected every head to attend from 'cat' (2) to 'the' (1) with a weight of at most...
    """
    if at_least is None and at_most is None:
        raise InputError("Say what is expected: at_least=…, at_most=…, or both.")
    if at_least is not None and not (_is_number(at_least) and 0 < at_least <= 1):
        raise InputError(f"at_least is a weight, above 0 and at most 1; got {at_least!r}.")
    if at_most is not None and not (_is_number(at_most) and 0 <= at_most < 1):
        raise InputError(f"at_most is a weight, 0 or more and below 1; got {at_most!r}.")
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
    if at_least is not None and not best[0][0] >= at_least:
        raise AssertionError(_failure(attention, i, asked, f"at least {at_least:g}", best, _which(layer, head)))
    if at_most is not None and not best[0][0] <= at_most:
        raise AssertionError(
            _failure(attention, i, asked, f"at most {at_most:g}", best, _which(layer, head, every=True))
        )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _named(token: str, position: int) -> str:
    return f"{token!r} ({position})"


def _which(layer: int | None, head: int | None, *, every: bool = False) -> str:
    if layer is None:
        any_or_every = "every" if every else "any"
        return f"{any_or_every} head" if head is None else f"head {head} of {any_or_every} layer"
    return f"{'every' if every else 'some'} head of layer {layer}" if head is None else f"layer {layer} head {head}"


def _failure(
    attention: Attention, i: int, asked: str, bound: str, best: list[tuple[float, int, int, int]], which: str
) -> str:
    weight, layer, head, _ = best[0]
    row = attention.weights(layer, head, queries=i)
    first = int(row.argmax())
    lines = [
        f"Expected {which} to attend from {asked} with a weight of {bound}; "
        f"the largest of {len(best)} is {weight:.4g}.",
        "Best heads:",
        *(f"  layer {at} head {h}: {w:.4g} (rank {rank} among its keys)" for w, at, h, rank in best[:SHOWN]),
        f"Layer {layer} head {head} attends most to {_named(attention.keys.text[first], first)}, "
        f"with {row[first]:.4g}.",
    ]
    return "\n".join(lines)
