"""Which requests wait for each other: what is on screen never waits for what is asked about all heads or all tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

Lane = Literal["near", "wide", "heads"]

LANES: tuple[Lane, ...] = ("near", "wide", "heads")
_WIDE = ("overview", "overviews", "pair", "flow", "evolution", "ablate", "figure")
_HEADS = ("statistic", "likeness", "roles", "findings", "links")
MOST_ROWS = 1024
"""Rows of weights that are still few; a column of a long text needs all of them."""


def lane_of(request: Mapping[str, object]) -> Lane:
    """Say which lane a request is answered in; the page has the same rule, ``js/src/source/lanes.ts``.

    Returns
    -------
    "near", "wide" or "heads"
        A few rows; a whole head, or a few numbers of every head; every weight of every head.
    """
    name = request.get("type")
    if name in _HEADS:
        return "heads"
    queries = request.get("queries")
    is_tall = (
        isinstance(queries, list)
        and len(queries) == 2
        and all(isinstance(end, int) for end in queries)
        and queries[1] - queries[0] > MOST_ROWS
    )
    return "wide" if name in _WIDE or is_tall else "near"
