"""How much each head makes of tokens that occur again: earlier occurrences, and what followed them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attnscope.analysis.measures import Share
from attnscope.analysis.rows import head_mean, require_one_sequence
from attnscope.analysis.targets import Duplicate, Induction

if TYPE_CHECKING:
    import numpy as np

    from attnscope.attention.capture import Capture


def duplicate_token(c: Capture, *, content: bool = False, kind: str | None = None) -> np.ndarray:
    """Weight on earlier occurrences of the query's own token, mean over the queries that see one.

    Parameters
    ----------
    content
        Leave special tokens out on both sides, and scale what is left of each row to sum 1.

    Returns
    -------
    numpy.ndarray
        float32 [layers, heads]; NaN throughout where no token occurs twice.
    """
    require_one_sequence(c, kind, "Duplicate-token attention")
    return head_mean(c, Share(Duplicate()), kind, content=content)


def induction(c: Capture, *, content: bool = False, kind: str | None = None) -> np.ndarray:
    """Weight on tokens that followed an earlier occurrence of the query's token (prefix matching, Olsson et al. 2022).

    They average entries over texts of random tokens that repeat; here the matches of a query are summed and queries
    averaged, so that several matches do not lower the score. Ask it of a text that repeats, best one without meaning:
    in plain language a repeated word has other reasons to be looked at.

    Parameters
    ----------
    content
        Leave special tokens out on both sides, and scale what is left of each row to sum 1.

    Returns
    -------
    numpy.ndarray
        float32 [layers, heads], mean over the queries that see such a token; NaN throughout where no token occurs
        twice.
    """
    require_one_sequence(c, kind, "Induction")
    return head_mean(c, Share(Induction()), kind, content=content)
