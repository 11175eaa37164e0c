"""How much each head looks at a fixed distance: the token itself, the one before, the one after."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from attnscope.analysis.blocks import walk
from attnscope.analysis.measures import Share
from attnscope.analysis.rows import attention_of, head_mean, require_one_sequence
from attnscope.analysis.targets import Offset
from attnscope.errors import InputError

if TYPE_CHECKING:
    from attnscope.attention.capture import Capture


def previous_token(c: Capture, *, content: bool = False, kind: str | None = None) -> np.ndarray:
    """Weight on the token before the query, mean over the queries that see it (Clark et al. 2019; Olsson et al. 2022).

    Clark et al. divide by all queries, so that a perfect head scores (n - 1) / n there and 1 here.

    Parameters
    ----------
    content
        Leave special tokens out on both sides, and scale what is left of each row to sum 1.

    Returns
    -------
    numpy.ndarray
        float32 [layers, heads].

    Examples
    --------
    >>> analysis.previous_token(c).round(2)
    array([[0.19, 0.07, 0.95, 0.62],
           [0.09, 0.12, 0.12, 0.16]], dtype=float32)
    """
    return offset_share(c, -1, content=content, kind=kind)


def next_token(c: Capture, *, content: bool = False, kind: str | None = None) -> np.ndarray:
    """Weight on the token after the query, mean over the queries that see it; NaN throughout for causal models.

    Takes and gives the same as :func:`previous_token`.

    Examples
    --------
    >>> analysis.next_token(translation, kind="encoder").round(2)
    array([[0.12, 0.09]], dtype=float32)
    """
    return offset_share(c, 1, content=content, kind=kind)


def self_share(c: Capture, *, content: bool = False, kind: str | None = None) -> np.ndarray:
    """Weight of the query on itself, mean over queries; takes and gives the same as :func:`previous_token`.

    Examples
    --------
    >>> analysis.self_share(c).round(2)
    array([[0.28, 0.14, 0.07, 0.14],
           [0.29, 0.23, 0.29, 0.24]], dtype=float32)
    """
    return offset_share(c, 0, content=content, kind=kind)


def offset_share(c: Capture, offset: int, *, content: bool = False, kind: str | None = None) -> np.ndarray:
    """Weight on the token ``offset`` further on, mean over the queries that see it.

    Parameters
    ----------
    offset
        Tokens from the query to the key; -1 is the previous token.
    content
        Leave special tokens out on both sides, and scale what is left of each row to sum 1.

    Returns
    -------
    numpy.ndarray
        float32 [layers, heads].

    Examples
    --------
    >>> analysis.offset_share(c, -2).round(2)
    array([[0.17, 0.78, 0.02, 0.15],
           [0.03, 0.04, 0.01, 0.  ]], dtype=float32)
    """
    if isinstance(offset, bool) or not isinstance(offset, int | np.integer):
        raise InputError(f"An offset is a whole number of tokens, below 0 for earlier ones; got {offset!r}.")
    require_one_sequence(c, kind, "A share at an offset")
    return head_mean(c, Share(Offset(int(offset))), kind, content=content)


@dataclass(frozen=True, eq=False)
class Offsets:
    """The distance at which each head's strongest keys lie most often.

    Parameters
    ----------
    offset
        int64 [layers, heads]: tokens from query to key; 0 also where no row counts.
    rate
        float32 [layers, heads]: share of rows whose strongest key lies there, of the rows that see a key there.

    Examples
    --------
    >>> found = analysis.strongest_offset(c)
    >>> found.offset[0].tolist(), found.rate[0].round(2)
    ([0, -2, -1, -1], array([0.71, 1.  , 1.  , 0.94], dtype=float32))
    """

    offset: np.ndarray
    rate: np.ndarray

    @property
    def positional(self) -> np.ndarray:
        """Heads that look at one distance in at least 90% of rows (Voita et al. 2019): bool [layers, heads]."""
        return np.nan_to_num(self.rate) >= 0.9


def strongest_offset(c: Capture, reach: int = 8, *, content: bool = False, kind: str | None = None) -> Offsets:
    """Find the fixed distance that best says where a head's strongest key is.

    Parameters
    ----------
    reach
        Largest distance looked at, to either side.
    content
        Leave special tokens out on both sides.

    Examples
    --------
    >>> analysis.strongest_offset(c).offset.tolist()
    [[0, -2, -1, -1], [-7, -7, -7, -7]]
    """
    if isinstance(reach, bool) or not isinstance(reach, int) or reach < 0:
        raise InputError(f"A reach is a number of tokens to either side, 0 or more; got {reach!r}.")
    require_one_sequence(c, kind, "An offset")
    attention = attention_of(c, kind)
    offsets = np.arange(-reach, reach + 1)
    hits = np.zeros((attention.n_layers, attention.n_heads, offsets.size), np.int64)
    seen = np.zeros_like(hits)
    for row, head, rows in walk(attention, content=content):
        for number, offset in enumerate(offsets):
            _, sees = rows.block.marked(Offset(int(offset)))
            seen[row, head, number] += sees.sum()
            hits[row, head, number] += (rows.strongest[sees] - rows.positions[sees] == offset).sum()
    half = seen.max(axis=-1, keepdims=True) / 2  # what only a few rows can show says little
    rates = np.where((seen > 0) & (seen >= half), hits / np.maximum(seen, 1), -1)
    best = rates.argmax(axis=-1)
    rate = np.take_along_axis(rates, best[..., None], -1)[..., 0]
    counted = seen.any(axis=-1)
    return Offsets(np.where(counted, offsets[best], 0), np.where(counted, rate, np.nan).astype(np.float32))
