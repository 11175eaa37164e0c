"""The one primitive behind every pattern score: how much a head looks where a pattern says, and what chance gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from attnscope.analysis.blocks import Target, walk
from attnscope.analysis.rows import attention_of, require_one_sequence
from attnscope.analysis.sums import Sums
from attnscope.analysis.targets import INSIDE_ONE_TEXT, target_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from attnscope.attention.capture import Capture
    from attnscope.attention.tokens import Tokens


@dataclass(frozen=True, eq=False)
class PatternScore:
    """How every head does on one pattern, over the rows that see a key of it.

    Scores of several texts add up exactly: ``pattern_score(a, …) + pattern_score(b, …)``.

    Parameters
    ----------
    of_mass, of_hits, of_chance
        Sums over rows of the weight on the pattern's keys, of whether the strongest key is one of them, and of the
        weight that uniform attention puts on them.
    of_all
        Sums over every row of the weight on the pattern's keys, 0 for rows that see none.

    Examples
    --------
    >>> score = analysis.pattern_score(c, "induction")
    >>> score.mass.round(2)
    array([[0.04, 0.01, 0.  , 0.02],
           [0.91, 0.92, 0.99, 0.99]], dtype=float32)
    >>> score.margin.round(2)
    array([[-0.04, -0.07, -0.08, -0.06],
           [ 0.9 ,  0.91,  0.99,  0.99]], dtype=float32)
    """

    of_mass: Sums
    of_hits: Sums
    of_chance: Sums
    of_all: Sums

    @property
    def mass(self) -> np.ndarray:
        """Mean weight on the pattern's keys: float32 [layers, heads]."""
        return self.of_mass.mean

    @property
    def hit(self) -> np.ndarray:
        """Share of rows whose strongest key belongs to the pattern: float32 [layers, heads]."""
        return self.of_hits.mean

    @property
    def chance(self) -> np.ndarray:
        """The mass of uniform attention under the same mask: float32 [layers, heads]."""
        return self.of_chance.mean

    @property
    def margin(self) -> np.ndarray:
        """Mass above chance, as a share of what could be above it: 1 is all weight on the pattern, 0 is chance."""
        above = np.subtract(self.mass, self.chance)
        left = 1 - self.chance
        return np.divide(above, left, out=np.full_like(above, np.nan), where=left > 0)

    @property
    def rows(self) -> np.ndarray:
        """Rows that count: int64 [layers, heads]."""
        return self.of_mass.count

    @property
    def diluted(self) -> np.ndarray:
        """Share of all attention, rows that cannot show the pattern included: float32 [layers, heads].

        This is what the head detector of TransformerLens calls ``mul``; a perfect head scores below 1 here.
        """
        return self.of_all.mean

    def __add__(self, other: PatternScore) -> PatternScore:
        return PatternScore(
            self.of_mass + other.of_mass,
            self.of_hits + other.of_hits,
            self.of_chance + other.of_chance,
            self.of_all + other.of_all,
        )


def pattern_score(
    c: Capture,
    target: str | np.ndarray | Callable[[np.ndarray, Tokens], np.ndarray],
    *,
    content: bool = False,
    kind: str | None = None,
) -> PatternScore:
    """Score every head on a pattern of attention.

    Parameters
    ----------
    target
        bool [queries, keys], True where a head that does this would look; or, so that no such array is needed, a
        function of some query positions, int [rows], and the key tokens, that gives those rows (or one for all); or the
        name of a pattern: ``"previous_token"``, ``"self"``, ``"next_token"``, ``"local"``, ``"duplicate_token"``,
        ``"induction"``, ``"sink"``, ``"separator"``, ``"punctuation"``.
    content
        Leave special tokens out on both sides, and scale what is left of each row to sum 1: attention given that it
        goes to content.

    Returns
    -------
    PatternScore
        Mass, hit rate, chance level and number of rows per head, over the rows that see a key of the pattern.

    Raises
    ------
    InputTypeError, InputError, NotFoundError
        For a pattern of another shape or type, or a name that is not there.

    Examples
    --------
    >>> score = analysis.pattern_score(c, "previous_token")
    >>> score.hit.round(2)
    array([[0.19, 0.06, 1.  , 0.94],
           [0.06, 0.19, 0.12, 0.19]], dtype=float32)
    >>> both = score + analysis.pattern_score(capture(model, tokenizer, "it ran ."), "previous_token")
    >>> both.rows
    array([[19, 19, 19, 19],
           [19, 19, 19, 19]])
    """
    if isinstance(target, str) and target in INSIDE_ONE_TEXT:
        require_one_sequence(c, kind, f"The pattern {target!r}")
    return pattern_scores(c, {"it": target_of(target, *c.tokens_of(kind))}, kind, content=content)["it"]


def pattern_scores(
    capture: Capture, targets: Mapping[str, Target], kind: str | None = None, *, content: bool = False
) -> dict[str, PatternScore]:
    """Score every head on several patterns in one pass over the weights; see :func:`pattern_score`."""
    attention = attention_of(capture, kind)
    shape = (attention.n_layers, attention.n_heads)
    scores = {name: PatternScore(*(Sums.none(*shape) for _ in range(4))) for name in targets}
    for row, head, rows in walk(attention, content=content):
        for name, target in targets.items():
            marked, _ = rows.block.marked(target)
            mass, score = rows.share(target), scores[name]
            counts = ~np.isnan(mass)
            hit = marked[np.arange(len(mass)), rows.strongest]
            chance = marked.sum(axis=1) / np.maximum(rows.seen, 1)
            score.of_mass.put(row, head, mass)
            score.of_hits.put(row, head, np.where(counts, hit, np.nan))
            score.of_chance.put(row, head, np.where(counts, chance, np.nan))
            score.of_all.put(row, head, np.nan_to_num(mass))
    return scores
