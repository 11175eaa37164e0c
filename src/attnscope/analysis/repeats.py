"""How much each head makes of tokens that occur again: earlier occurrences, and what followed them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attnscope.analysis.measures import Share
from attnscope.analysis.rows import head_mean, require_one_sequence
from attnscope.analysis.targets import Duplicate, Induction
from attnscope.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

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

    Examples
    --------
    >>> analysis.duplicate_token(c).round(2)
    array([[0.03, 0.01, 0.  , 0.  ],
           [0.  , 0.01, 0.  , 0.  ]], dtype=float32)
    """
    require_one_sequence(c, kind, "Duplicate-token attention")
    return head_mean(c, Share(Duplicate()), kind, content=content)


def induction(c: Capture, *, content: bool = False, kind: str | None = None) -> np.ndarray:
    """Weight on tokens that followed an earlier occurrence of the query's token (prefix matching, Olsson et al. 2022).

    They average entries over texts of random tokens that repeat; here the matches of a query are summed and queries
    averaged, so that several matches do not lower the score. Ask it of a text that repeats, best one without meaning
    (:func:`repeated_random`): in plain language a repeated word has other reasons to be looked at.

    Parameters
    ----------
    content
        Leave special tokens out on both sides, and scale what is left of each row to sum 1.

    Returns
    -------
    numpy.ndarray
        float32 [layers, heads], mean over the queries that see such a token; NaN throughout where no token occurs
        twice.

    Examples
    --------
    >>> analysis.induction(c).round(2)
    array([[0.04, 0.01, 0.  , 0.02],
           [0.91, 0.92, 0.99, 0.99]], dtype=float32)
    """
    require_one_sequence(c, kind, "Induction")
    return head_mean(c, Share(Induction()), kind, content=content)


def repeated_random(
    ids: Sequence[int] | np.ndarray, *, length: int = 25, times: int = 4, first: int | None = None, seed: int = 0
) -> np.ndarray:
    """Draw token ids without meaning that repeat, to look for induction heads in (Olsson et al. 2022).

    They take a start token and 25 random tokens four times over, ten times anew, and leave out the most common and the
    rarest tokens: ``capture(model, tokenizer, {"input_ids": torch.tensor(repeated_random(ids, seed=0))})``, and
    ``pattern_score(c, "induction")`` of several such captures added up.

    Parameters
    ----------
    ids
        The ids to draw from, each at most once per round.
    length, times
        Tokens of a round, and rounds.
    first
        The start token's id; None for none.
    seed
        Other seeds draw others.

    Returns
    -------
    numpy.ndarray
        int64 [tokens].

    Examples
    --------
    >>> ids = analysis.repeated_random(range(1, 49), length=6, times=3, first=0)
    >>> c = capture(model, tokenizer, {"input_ids": torch.tensor(ids)[None]})
    >>> analysis.induction(c).round(2)
    array([[0.06, 0.04, 0.01, 0.03],
           [0.93, 0.95, 0.96, 0.93]], dtype=float32)
    """
    choices = np.unique(np.asarray(ids, np.int64))
    if not 0 < length <= choices.size or times < 1:
        raise InputError(
            f"{choices.size} different ids make rounds of 1 to {choices.size} tokens, once or more; got rounds of "
            f"{length}, {times} times."
        )
    drawn = np.random.default_rng(seed).choice(choices, length, replace=False)
    return np.concatenate([[] if first is None else [first], np.tile(drawn, times)]).astype(np.int64)
