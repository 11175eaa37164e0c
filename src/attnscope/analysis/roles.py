"""What each head is there for, as far as its pattern of attention says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from attnscope.analysis.entropy import entropy
from attnscope.analysis.measures import Share, normalized_entropy
from attnscope.analysis.patterns import pattern_scores
from attnscope.analysis.rows import attention_of, is_one_sequence
from attnscope.analysis.tables import table
from attnscope.analysis.targets import ANYWHERE, AT_ONE_PLACE, PATTERNS
from attnscope.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from attnscope.analysis.blocks import Target
    from attnscope.analysis.measures import Measure
    from attnscope.attention.capture import Attention, Capture

FIRES, BROAD, FEWEST = 0.5, 0.9, 3
"""Margin from which a role fires, normalised entropy from which a head is broad, and the fewest rows that tell."""
COLUMNS = ["layer", "head", "role", "score", "hit", "chance", "margin", "rows", "fires"]


def head_roles(c: Capture, *, threshold: float = FIRES, content: bool = False, kind: str | None = None) -> Any:
    """Score every head on every role its pattern of attention can show.

    The roles: ``previous_token``, ``self``, ``next_token``; ``duplicate_token`` (earlier occurrences of the token) and
    ``induction`` (what followed them); ``sink`` (the first token), ``separator`` (other special tokens),
    ``punctuation``; ``local`` (at most 3 tokens away, and at none of the first three places in particular); ``broad``
    (spread nearly evenly). Ask of a text that can show them: induction needs tokens that occur again. A pattern says
    what a head looks at, not what the model does with it.

    Parameters
    ----------
    threshold
        Margin from which a role fires, 0 to 1; ours. 0.5 is half-way from chance to all weight on the pattern.
    content
        Leave special tokens out on both sides, and scale what is left of each row to sum 1.

    Returns
    -------
    pandas.DataFrame or list of dict
        Per head and role: ``layer``, ``head``, ``role``; ``score``, the mean weight on the role's keys over the rows
        that see any; ``hit``, the share of those rows whose strongest key is one; ``chance``, the score of uniform
        attention; ``margin``, (score - chance) / (1 - chance); the number of ``rows``; and whether the role ``fires``,
        which takes 3 rows. For ``broad`` the score is the normalised entropy, which fires from 0.9 on (Clark et al.
        2019 use 3.8 nats, which means much only near 128 tokens); it has no margin, since it is what chance looks
        like. Roles no row can show are left out.

    Examples
    --------
    >>> table = analysis.head_roles(c)
    >>> table[table.fires][["layer", "head", "role", "score"]].round(2).head(4)
        layer  head            role  score
    7       0     0           broad   0.92
    10      0     1           local   0.92
    16      0     2  previous_token   0.95
    24      0     3  previous_token   0.62
    """
    return table(role_rows(c, threshold=threshold, content=content, kind=kind), COLUMNS)


def role_rows(
    c: Capture, *, threshold: float = FIRES, content: bool = False, kind: str | None = None
) -> list[dict[str, Any]]:
    """Give the rows of :func:`head_roles`."""
    if not 0 < threshold <= 1:
        raise InputError(f"A threshold for the margin is above 0 and at most 1, got {threshold!r}.")
    attention = attention_of(c, kind)
    scores = {
        name: score
        for name, score in pattern_scores(c, _targets(attention), kind, content=content).items()
        if can_show(score.chance, score.rows)
    }
    spread = entropy(c, content=content, kind=kind)
    fires = firing({name: (score.mass, score.chance, score.rows) for name, score in scores.items()}, spread, threshold)
    rows: list[dict[str, Any]] = []
    for row, (number, layer) in enumerate(attention.stored.items()):
        for head in range(layer.n_heads):
            place = (row, head)
            found: dict[str, dict[str, Any]] = {}
            for name, score in scores.items():
                found[name] = {
                    "score": float(score.mass[place]),
                    "hit": float(score.hit[place]),
                    "chance": float(score.chance[place]),
                    "margin": float(score.margin[place]),
                    "rows": int(score.rows[place]),
                    "fires": bool(fires[name][place]),
                }
            if not np.isnan(spread[place]):
                found["broad"] = {
                    "score": float(spread[place]),
                    "hit": np.nan,
                    "chance": 1.0,
                    "margin": np.nan,
                    "rows": len(attention.queries),
                    "fires": bool(fires["broad"][place]),
                }
            rows += [{"layer": number, "head": head, "role": name} | entry for name, entry in found.items()]
    return rows


def role_measures(attention: Attention) -> dict[str, Measure]:
    """Name the measures whose means over rows are the scores of :func:`head_roles`; that of ``broad`` comes last."""
    return {**{name: Share(target) for name, target in _targets(attention).items()}, "broad": normalized_entropy}


def can_show(chance: np.ndarray, rows: np.ndarray) -> bool:
    """Whether any row sees a key of a pattern, and could look elsewhere."""
    return bool(rows.any()) and bool((chance < 1).any())


def firing(
    scores: Mapping[str, tuple[np.ndarray, np.ndarray, np.ndarray]], spread: np.ndarray, threshold: float = FIRES
) -> dict[str, np.ndarray]:
    """Say which heads have which role.

    Parameters
    ----------
    scores
        Per pattern its score, its chance level and the number of rows, each [layers, heads].
    spread
        Normalised entropy, [layers, heads].

    Returns
    -------
    dict of numpy.ndarray
        Per role, ``broad`` among them, bool [layers, heads].
    """
    with np.errstate(invalid="ignore"):
        fires = {
            name: (rows >= FEWEST) & (margin_of(score, chance) >= threshold)
            for name, (score, chance, rows) in scores.items()
        }
        if "local" in fires:
            for name in AT_ONE_PLACE:
                if name in fires:
                    fires["local"] &= ~fires[name]
        return {**fires, "broad": spread >= BROAD}


def margin_of(score: np.ndarray, chance: np.ndarray) -> np.ndarray:
    """Score above chance, as a share of what could be above it; NaN where nothing could."""
    return np.divide(score - chance, 1 - chance, out=np.full(np.shape(score), np.nan), where=chance < 1)


def _targets(attention: Attention) -> Mapping[str, Target]:
    return PATTERNS if is_one_sequence(attention) else ANYWHERE
