"""What the page would ask for first, answered in advance, so that it paints without a round trip."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attnscope.wire.answer import answer

if TYPE_CHECKING:
    from attnscope.attention.capture import Capture
    from attnscope.wire.protocol import First

FIRST_CELLS = 1 << 16
"""Most weights sent ahead: 256 KiB."""
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
    rows = FIRST_CELLS // max(1, n_keys * len(heads))
    if heads and rows >= n_queries:
        requests.append(_weights(kind, heads, [0, n_queries], n_keys))
    elif heads and rows >= 1:
        requests.append(_weights(kind, heads, [0, rows], n_keys))
        if query is not None and query >= rows:
            requests.append(_weights(kind, heads, [query, query + 1], n_keys))
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
