"""What the page would ask for first, answered in advance, so that it paints without a round trip."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attnscope.wire.answer import answer

if TYPE_CHECKING:
    from attnscope.attention.capture import Capture
    from attnscope.wire.protocol import First

BLOCK_CELLS, BLOCK_ROWS, MOST_HEADS = 1 << 16, 256, 4
"""The page asks for whole rows in aligned blocks of at most this many cells and rows; so many heads are sent ahead."""
FIRST_WORK = 1 << 27
"""Most multiplications spent ahead on the head map's statistic."""


def first_answers(capture: Capture, kind: str, heads: list[list[int]], query: int | None) -> list[First]:
    """Answer the first requests of a page in advance.

    Parameters
    ----------
    kind, heads, query
        What is selected: a kind, [layer, head] pairs, a pinned position.
    """
    attention = capture[kind]
    n_queries, n_keys = len(attention.queries), len(attention.keys)
    requests: list[dict[str, Any]] = []
    rows = min(BLOCK_ROWS, max(1, BLOCK_CELLS // max(1, n_keys)))
    for block in sorted({0, (query or 0) // rows}):
        span = [block * rows, min((block + 1) * rows, n_queries)]
        if heads:
            requests.append(_weights(kind, heads[:MOST_HEADS], span, n_keys))
    width = getattr(next(iter(attention.stored.values())), "width", 1)
    if sum(attention.head_counts) * n_queries * n_keys * width <= FIRST_WORK:
        requests.append({"type": "statistic", "kind": kind, "statistic": "entropy"})
    return [_answered(capture, request) for request in requests]


def _weights(kind: str, heads: list[list[int]], queries: list[int], n_keys: int) -> dict[str, Any]:
    return {
        "type": "weights",
        "kind": kind,
        "measure": "weights",
        "heads": heads,
        "queries": queries,
        "keys": [0, n_keys],
    }


def _answered(capture: Capture, request: dict[str, Any]) -> First:
    reply, buffers = answer(capture, {"id": None, **request})
    if buffers:
        reply["data"] = buffers[0]
    return {"request": request, "reply": reply}
