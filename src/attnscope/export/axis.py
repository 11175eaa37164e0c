"""What stands in one place of a picture: a token, or the pieces of a word."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from attnscope.attention.tokens import Tokens


@dataclass(frozen=True, eq=False)
class Axis:
    """The places along one side, as the page has them.

    Parameters
    ----------
    tokens
        The tokens of the side.
    text
        What stands in each place.
    starts
        int [places + 1]: first token of each place, and the number of tokens.
    special
        bool [places].
    unit_of
        int [tokens]: the place of each token.
    """

    tokens: Tokens
    text: tuple[str, ...]
    starts: np.ndarray
    special: np.ndarray
    unit_of: np.ndarray

    @classmethod
    def of(cls, tokens: Tokens, *, whole_words: bool = False) -> Axis:
        """Give each token its place, or each word."""
        opens = np.ones(len(tokens), bool)
        if whole_words:
            words, special = tokens.words, tokens.special
            opens[1:] = (words[1:] < 0) | special[1:] | (words[1:] != words[:-1])
        starts = np.append(np.flatnonzero(opens), len(tokens))
        text = tuple(
            "".join(piece.removeprefix("##") if at else piece for at, piece in enumerate(tokens.text[start:stop]))
            for start, stop in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True)
        )
        return cls(tokens, text, starts, tokens.special[starts[:-1]], np.cumsum(opens) - 1)

    def __len__(self) -> int:
        return len(self.text)

    def units(self, positions: Iterable[int]) -> list[int]:
        """Give the places of some tokens, each once."""
        return list(dict.fromkeys(int(self.unit_of[position]) for position in positions))

    def tokens_in(self, units: np.ndarray) -> np.ndarray:
        """List the tokens of some places, one place behind the other."""
        if len(self) == len(self.tokens):
            return units
        return np.concatenate([np.arange(self.starts[unit], self.starts[unit + 1]) for unit in units] or [units])

    def join(self, values: np.ndarray, *, scores: bool) -> np.ndarray:
        """Join columns to places: shares are added, scores added as exponentials; NaN where a place has no number.

        Parameters
        ----------
        values
            float32 [rows, tokens], NaN where there is no number.
        scores
            Whether these are numbers before softmax.
        """
        if len(self) == len(self.tokens):
            return values
        starts = self.starts[:-1]
        seen = np.logical_or.reduceat(~np.isnan(values), starts, axis=1)
        if scores:
            low = np.where(np.isnan(values), -np.inf, values)
            peak = np.maximum.reduceat(low, starts, axis=1)
            safe = np.where(np.isfinite(peak), peak, 0)
            powers = np.exp(low - np.repeat(safe, np.diff(self.starts), axis=1), dtype=np.float64)
            with np.errstate(divide="ignore"):
                joined = safe + np.log(np.add.reduceat(powers, starts, axis=1))
        else:
            joined = np.add.reduceat(np.nan_to_num(values), starts, axis=1, dtype=np.float64)
        return np.where(seen, joined, np.nan).astype(np.float32)

    def mean(self, values: np.ndarray, units: np.ndarray) -> np.ndarray:
        """Average rows of tokens to rows of places, over those that have a number."""
        if len(self) == len(self.tokens):
            return values
        sizes = np.diff(self.starts)[units]
        firsts = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(int)
        counts = np.add.reduceat(~np.isnan(values), firsts, axis=0, dtype=np.float64)
        with np.errstate(invalid="ignore"):
            found = np.add.reduceat(np.nan_to_num(values), firsts, axis=0, dtype=np.float64) / counts
        return found.astype(np.float32)
