"""What many texts show of every head."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from attnscope.analysis.roles import margin_of
from attnscope.analysis.statistics import STATISTICS
from attnscope.analysis.tables import table
from attnscope.errors import InputError, NotFoundError
from attnscope.profiling.exact import BITS
from attnscope.profiling.measures import HIT, ROLES
from attnscope.profiling.ranges import joined, overlap
from attnscope.profiling.roles import firing_of, scores_of

if TYPE_CHECKING:
    import os

    from attnscope.profiling.settings import Settings
    from attnscope.profiling.strongest import Strongest
    from attnscope.profiling.tally import Tally

BY = ("rows", "texts")


class Skipped(NamedTuple):
    """A text that was left out, and why."""

    text: int
    reason: str


class TextHit(NamedTuple):
    """A text in which a statistic of a head is strong: its number, and the mean over its rows."""

    text: int
    value: float


@dataclass(frozen=True, eq=False)
class HeadProfile:
    """Statistics of every head over many texts; made by :func:`attnscope.profile`.

    All sums are kept exactly, in fixed point, so that profiles of parts merge to the last bit into that of the whole,
    in any order; two profiles are equal if every bit is. In a notebook a profile shows
    itself; see :class:`attnscope.ProfileWidget`.

    Parameters
    ----------
    model_name, fingerprint
        The model, and what tells it and its tokenizer from others.
    kind
        The kind of attention.
    layers, head_counts
        Numbers of the layers that have attention, and heads in each.
    settings
        What was asked for.
    heads, chance
        Sums of every statistic over rows and texts, [statistics, layers, heads]; of uniform attention under the same
        masks, [statistics, layers].
    strongest_texts
        For each statistic and head the texts in which it is strongest.
    n_texts, n_tokens, n_pieces, n_cut
        Texts that count, their tokens, the pieces they were run in, and how many of them were truncated or split.
    skipped
        Texts that were left out, with the reason.
    ranges
        Numbers of the texts gone through, as (first, one past the last).

    Examples
    --------
    >>> heads = profile(model, tokenizer, [text, "a dog ran . a dog ran ."], progress=False)
    >>> heads.top("induction", 2)[["layer", "head"]].values.tolist()
    [[1, 3], [1, 1]]
    >>> heads.save("two-texts.profile")
    >>> HeadProfile.load("two-texts.profile") == heads
    True
    """

    model_name: str
    fingerprint: str
    kind: str
    layers: tuple[int, ...]
    head_counts: tuple[int, ...]
    settings: Settings
    heads: Tally
    chance: Tally
    strongest_texts: Strongest
    n_texts: int
    n_tokens: int
    n_pieces: int
    n_cut: int
    skipped: tuple[Skipped, ...]
    ranges: tuple[tuple[int, int], ...]

    def __repr__(self) -> str:
        left_out = f", {len(self.skipped):,} left out" if self.skipped else ""
        n_heads = set(self.head_counts)
        heads = f"{min(n_heads, default=0)}" + (f"–{max(n_heads)}" if len(n_heads) > 1 else "")
        return (
            f"HeadProfile({self.model_name}, {self.kind}: {len(self.layers)} layers × {heads} heads, "
            f"{self.n_texts:,} texts of {self.n_tokens:,} tokens{left_out})"
        )

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        """Show the profile where a notebook displays it; see :class:`attnscope.ProfileWidget`."""
        import attnscope  # through the front door: what shows a profile stands above what makes one

        bundle = attnscope.ProfileWidget(self)._repr_mimebundle_(**kwargs)
        return bundle and ({**bundle[0], "text/plain": repr(self)}, bundle[1])

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, HeadProfile):
            return NotImplemented
        return self._plain == other._plain and all(
            getattr(self, name).same(getattr(other, name)) for name in ("heads", "chance", "strongest_texts")
        )

    __hash__ = None  # type: ignore[assignment]  # equal by its numbers, which are arrays

    @property
    def _plain(self) -> tuple[Any, ...]:
        facts = self.model_name, self.fingerprint, self.kind, self.layers, self.head_counts, self.settings
        return *facts, self.n_texts, self.n_tokens, self.n_pieces, self.n_cut, self.skipped, self.ranges

    @property
    def statistics(self) -> tuple[str, ...]:
        """Names of the statistics that some text shows."""
        return tuple(name for i, name in enumerate(self.settings.statistics) if self.heads.rows[i].any())

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays, whatever the number of texts."""
        arrays = self.heads.arrays("") | self.chance.arrays("_")
        texts = self.strongest_texts.order.nbytes + self.strongest_texts.texts.nbytes
        return sum(array.nbytes for array in arrays.values()) + texts

    def mean(self, statistic: str, *, by: str = "rows") -> np.ndarray:
        """Mean of a statistic.

        Parameters
        ----------
        statistic
            One of :attr:`statistics`: those of ``analysis.head_table``, and for a pattern also ``…_hit``, the share of
            rows whose strongest key is one of its keys.
        by
            ``"rows"``: every query counts the same, so that long texts count for more; ``"texts"``: every text does.

        Returns
        -------
        numpy.ndarray
            float64 [layers, heads]; NaN where no row counts.
        """
        return self.heads.mean(_by(by))[self._number(statistic)]

    def spread(self, statistic: str, *, by: str = "rows") -> np.ndarray:
        """Standard deviation over rows, or of the texts' means: float64 [layers, heads]; see :meth:`mean`."""
        return self.heads.spread(_by(by))[self._number(statistic)]

    def level(self, statistic: str, *, by: str = "rows") -> np.ndarray:
        """Chance level of a statistic, what uniform attention under the same masks gives: float64 [layers]."""
        return self.chance.mean(_by(by))[self._number(statistic)]

    def rows(self, statistic: str) -> np.ndarray:
        """Rows that count: int64 [layers, heads]."""
        found: np.ndarray = self.heads.rows[self._number(statistic)]
        return found

    def table(self, *, by: str = "rows", spread: bool = False) -> Any:
        """Statistics of every head beside their chance levels.

        Parameters
        ----------
        by
            What counts the same: see :meth:`mean`.
        spread
            Whether to give the standard deviations, as ``…_sd``.

        Returns
        -------
        pandas.DataFrame or list of dict
            One row per head: ``layer``, ``head``, then per statistic its mean and, as ``…_chance``, its chance level; a
            frame where pandas is installed.
        """
        columns: dict[str, np.ndarray] = {}
        for name in self.statistics:
            if name.endswith(HIT):
                continue
            columns[name] = self.mean(name, by=by)
            if spread:
                columns[f"{name}_sd"] = self.spread(name, by=by)
            columns[f"{name}_chance"] = np.broadcast_to(self.level(name, by=by)[:, None], columns[name].shape)
        return table(
            [
                {"layer": layer, "head": head} | {name: float(values[row, head]) for name, values in columns.items()}
                for row, layer, head in self._places
            ],
            ["layer", "head", *columns],
        )

    def roles(self, *, threshold: float = 0.5) -> Any:
        """Score every head on every role, as ``analysis.head_roles`` does of one text.

        Returns
        -------
        pandas.DataFrame or list of dict
            Per head and role: ``layer``, ``head``, ``role``, ``score``, ``hit``, ``chance``, ``margin``, ``rows`` and
            ``fires``. Roles no text can show are left out.
        """
        if not 0 < threshold <= 1:
            raise InputError(f"A threshold for the margin is above 0 and at most 1, got {threshold!r}.")
        found = scores_of(self)
        fires = firing_of(self, found, threshold)
        rows = []
        for row, layer, head in self._places:
            for role, (score, chance, count) in found.items():
                hit = ROLES[role] + HIT
                rows.append(
                    {
                        "layer": layer,
                        "head": head,
                        "role": role,
                        "score": float(score[row, head]),
                        "hit": float(self.mean(hit)[row, head]) if hit in self.statistics else np.nan,
                        "chance": float(chance[row, head]),
                        "margin": float(margin_of(score, chance)[row, head]),
                        "rows": int(count[row, head]),
                        "fires": bool(fires[role][row, head]),
                    }
                )
        return table(rows, ["layer", "head", "role", "score", "hit", "chance", "margin", "rows", "fires"])

    def top(self, statistic: str, k: int = 10, *, by: str = "rows", lowest: bool = False) -> Any:
        """Give the heads in which a statistic is largest.

        Parameters
        ----------
        statistic, by
            See :meth:`mean`.
        k
            How many heads.
        lowest
            Whether to give those in which it is smallest instead.

        Returns
        -------
        pandas.DataFrame or list of dict
            ``layer``, ``head``, the mean as ``value``, its standard deviation as ``sd``, the ``chance`` level, and as
            ``texts`` the numbers of the texts in which the head shows it most.
        """
        values, sd = self.mean(statistic, by=by), self.spread(statistic, by=by)
        chance = self.level(statistic, by=by)
        places = [place for place in self._places if not np.isnan(values[place[0], place[2]])]
        sign = 1 if lowest else -1
        places.sort(key=lambda place: sign * values[place[0], place[2]])
        return table(
            [
                {
                    "layer": layer,
                    "head": head,
                    "value": float(values[row, head]),
                    "sd": float(sd[row, head]),
                    "chance": float(chance[row]),
                    "texts": [hit.text for hit in self.strongest(statistic, layer, head)],
                }
                for row, layer, head in places[:k]
            ],
            ["layer", "head", "value", "sd", "chance", "texts"],
        )

    def strongest(self, statistic: str, layer: int, head: int) -> list[TextHit]:
        """Give the texts in which a statistic of a head is strongest, the largest first, of equal ones the earlier.

        :func:`attnscope.profiling.sources.read_texts` reads them again by their numbers.

        Raises
        ------
        NotFoundError
            When there is no such statistic, layer or head.
        """
        number = self._number(statistic)
        if layer not in self.layers:
            raise NotFoundError(f"There is no layer {layer!r}; layers are {list(self.layers)}.")
        row = self.layers.index(layer)
        if not 0 <= head < self.head_counts[row]:
            raise NotFoundError(f"There is no head {head!r}; layer {layer} has heads 0 to {self.head_counts[row] - 1}.")
        order = self.strongest_texts.order[number, row, head] / 2.0**BITS
        texts = self.strongest_texts.texts[number, row, head]
        return [TextHit(int(text), float(value)) for text, value in zip(texts, order, strict=True) if text >= 0]

    def merge(self, other: HeadProfile) -> HeadProfile:
        """Put two profiles together: every bit is that of one profile over the texts of both.

        Parameters
        ----------
        other
            A profile of the same model with the same settings over other texts. Texts are told apart by their numbers:
            profile the second part with ``first=`` set to the number of its first text.

        Raises
        ------
        InputError
            When a text would be counted twice, or models or settings differ.
        """
        both = overlap(self.ranges, other.ranges)
        if both is not None:
            raise InputError(
                f"Both profiles count text {both}, which would be counted twice. Number the texts of the second part "
                "on: profile(…, first=number of its first text)."
            )
        if self.fingerprint != other.fingerprint:
            raise InputError(
                f"The profiles are of different models or tokenizers ({self.model_name} and {other.model_name}), or of "
                "different weights of one."
            )
        settings = self.settings.joined(other.settings)
        skipped = tuple(sorted(self.skipped + other.skipped))
        ranges = joined(self.ranges + other.ranges)
        if not (self.layers and other.layers):  # all texts of one were left out: its shape is not known
            whole = self if self.layers else other
            return replace(whole, settings=settings, skipped=skipped, ranges=ranges)
        if (self.kind, self.layers, self.head_counts) != (other.kind, other.layers, other.head_counts):
            raise InputError(
                f"One profile is of {self.kind} attention in layers {list(self.layers)} and one of {other.kind} in "
                f"{list(other.layers)}; they must be the same."
            )
        return replace(
            self,
            settings=settings,
            heads=self.heads + other.heads,
            chance=self.chance + other.chance,
            strongest_texts=self.strongest_texts.merge(other.strongest_texts),
            n_texts=self.n_texts + other.n_texts,
            n_tokens=self.n_tokens + other.n_tokens,
            n_pieces=self.n_pieces + other.n_pieces,
            n_cut=self.n_cut + other.n_cut,
            skipped=skipped,
            ranges=ranges,
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the profile to one file, whole or not at all: arrays in safetensors, nothing executable."""
        from attnscope.profiling.storage import save

        save(self, path)

    @staticmethod
    def load(path: str | os.PathLike[str]) -> HeadProfile:
        """Read what :meth:`save` wrote.

        Raises
        ------
        FileError
            When the file is damaged, of another kind, or written by a newer version.
        FileNotFoundError
            When there is no such file.
        """
        from attnscope.profiling.storage import load

        return load(path)

    @property
    def _places(self) -> list[tuple[int, int, int]]:
        """Every head: the row of its layer, the layer's number, the head's."""
        return [
            (row, layer, head)
            for row, (layer, count) in enumerate(zip(self.layers, self.head_counts, strict=True))
            for head in range(count)
        ]

    def _number(self, statistic: str) -> int:
        if statistic not in self.statistics:
            known = f" (no text here shows it: {STATISTICS[statistic].says})" if statistic in STATISTICS else ""
            raise NotFoundError(
                f"There is no statistic {statistic!r} here{known}; there are {', '.join(self.statistics)}."
            )
        return self.settings.statistics.index(statistic)


def _by(by: str) -> str:
    if by not in BY:
        raise InputError(f"by is 'rows' or 'texts', got {by!r}.")
    return by
