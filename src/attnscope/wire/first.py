"""What the page would ask for first, answered in advance, so that it paints without a round trip."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attnscope.wire.answer import answer

if TYPE_CHECKING:
    from attnscope.attention.capture import Capture
    from attnscope.wire.protocol import First

BLOCK_CELLS, BLOCK_ROWS, LONG_ROWS, REQUEST_CELLS = 1 << 16, 256, 8, 1 << 18
"""The page asks for rows in aligned blocks of at most so many cells and rows; of long rows for some all the same."""
MOST_HEADS = 4
"""So many heads are sent ahead, where they are not more cells than one request may have."""
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
    rows = rows_per_block(n_keys)
    for block in sorted({0, (query or 0) // rows}):
        span = [block * rows, min((block + 1) * rows, n_queries)]
        seen = min(n_keys, span[1]) if attention.is_causal else n_keys
        room = REQUEST_CELLS // max(1, seen * (span[1] - span[0]))
        if heads[:room]:
            requests.append(_weights(kind, heads[: min(room, MOST_HEADS)], span, seen))
    width = getattr(next(iter(attention.stored.values())), "width", 1)
    if sum(attention.head_counts) * n_queries * n_keys * width <= FIRST_WORK:
        requests.append({"type": "statistic", "kind": kind, "statistic": "entropy"})
    return [_answered(capture, request) for request in requests]


def rows_per_block(n_keys: int) -> int:
    """Give the rows of one block, as the page counts them."""
    n = max(1, n_keys)
    return min(BLOCK_ROWS, max(1, BLOCK_CELLS // n, min(LONG_ROWS, REQUEST_CELLS // n)))


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
