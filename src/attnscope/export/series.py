"""What a picture shows: the selected heads, joined or one by one, and their numbers row by row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from attnscope.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from attnscope.attention.capture import Attention, Capture

MEASURES = ("weights", "scores")
AGGREGATES = ("none", "mean", "max")
COLOR_SCALES = ("linear", "log", "rank")
DECADES = 4


@dataclass(frozen=True)
class Series:
    """One head, or several joined into one.

    Parameters
    ----------
    attention
        The kind of attention.
    heads
        The [layer, head] pairs behind it.
    measure
        ``"weights"`` or ``"scores"``.
    aggregate
        How several heads are joined: ``"mean"`` or ``"max"``; ``"none"`` for one head.
    special_tokens
        Whether special keys take part; if not, the other weights are rescaled to what the softmax would have given.
    """

    attention: Attention
    heads: tuple[tuple[int, int], ...]
    measure: str = "weights"
    aggregate: str = "none"
    special_tokens: bool = True

    @property
    def name(self) -> str:
        """What to call it in a title."""
        if self.aggregate != "none":
            return f"{self.aggregate.capitalize()} of {len(self.heads)} heads"
        layer, head = self.heads[0]
        return f"Layer {layer} · Head {head}"

    def rows(self, queries: np.ndarray) -> np.ndarray:
        """Numbers of some queries over every key: float32 [queries, keys], NaN where masked or hidden."""
        blocks = [self._of_head(layer, head, queries) for layer, head in self.heads]
        if len(blocks) == 1:
            return blocks[0]
        stacked = np.stack(blocks)
        unseen = np.isnan(stacked).all(axis=0)
        filled = np.where(np.isnan(stacked), -np.inf if self.aggregate == "max" else 0, stacked)
        joined = filled.max(axis=0) if self.aggregate == "max" else filled.mean(axis=0)
        return np.where(unseen, np.nan, joined).astype(np.float32)

    def _of_head(self, layer: int, head: int, queries: np.ndarray) -> np.ndarray:
        read = self.attention.weights if self.measure == "weights" else self.attention.scores
        values = read(layer, head, queries=queries)
        values[~self.attention.layer(layer).mask.allowed(queries)] = np.nan
        if self.special_tokens:
            return values
        special = self.attention.keys.special
        if self.measure == "weights":
            left = 1 - np.nansum(values[:, special], axis=1, keepdims=True, dtype=np.float64)
            values = np.where(left > 1e-6, values / np.maximum(left, 1e-6), values).astype(np.float32)
        values[:, special] = np.nan
        return values


def series_of(
    capture: Capture,
    *,
    kind: str | None,
    heads: Sequence[Sequence[int]] | None,
    measure: str,
    aggregate: str,
    special_tokens: bool,
) -> list[Series]:
    """Give what is selected, one entry per colour; no heads stands for the first of the first layer.

    Raises
    ------
    InputError
        For an unknown measure or way to join heads.
    NotFoundError
        For a kind, layer or head that is not there.
    """
    attention = capture[kind or capture.kinds[0]]
    one_of("measure", measure, MEASURES)
    one_of("aggregate", aggregate, AGGREGATES)
    chosen = [(int(layer), attention.head(layer, head)) for layer, head in heads or [(attention.layers[0], 0)]]
    if aggregate == "none" or len(chosen) == 1:
        return [Series(attention, (pair,), measure, "none", special_tokens) for pair in chosen]
    return [Series(attention, tuple(chosen), measure, aggregate, special_tokens)]


def strengths(values: np.ndarray, measure: str, color_scale: str = "linear") -> np.ndarray:
    """Say how strongly each number of each row is drawn, from 0 to 1; NaN stays.

    Weights keep their own scale from 0 to 1, scores stand between the least and the most of their row.

    Parameters
    ----------
    values
        float32 [queries, keys].
    measure
        What the numbers are.
    color_scale
        ``"linear"``, ``"log"`` over four decades, or ``"rank"`` in the row.
    """
    one_of("color_scale", color_scale, COLOR_SCALES)
    seen = ~np.isnan(values)
    if color_scale == "rank":
        ranks = np.array([np.searchsorted(np.sort(row[ok]), row) for row, ok in zip(values, seen, strict=True)])
        return np.where(seen, ranks / np.maximum(seen.sum(axis=1, keepdims=True) - 1, 1), np.nan)
    if measure == "weights":
        least, most = np.zeros((len(values), 1)), np.ones((len(values), 1))
    else:
        least = np.where(seen, values, np.inf).min(axis=1, keepdims=True, initial=np.inf)
        most = np.where(seen, values, -np.inf).max(axis=1, keepdims=True, initial=-np.inf)
    return between(values, least, most, color_scale)


def between(values: np.ndarray, least: np.ndarray | float, most: np.ndarray | float, color_scale: str) -> np.ndarray:
    """Give the place of each number between the least and the most, from 0 to 1; NaN stays."""
    with np.errstate(invalid="ignore", divide="ignore"):
        if color_scale == "log":
            base = np.minimum(least, 0)
            place = 1 + np.log10((values - base) / (most - base)) / DECADES
        else:
            place = (values - least) / (most - least)
    place = np.where(np.isfinite(place), np.clip(place, 0, 1), 0)
    return np.where(np.isnan(values), np.nan, place)


def one_of(name: str, value: str, choices: tuple[str, ...]) -> None:
    """Refuse a value that is not among the choices."""
    if value not in choices:
        raise InputError(f"{name} is one of {', '.join(map(repr, choices))}, got {value!r}.")
