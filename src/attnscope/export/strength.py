"""How strongly a number is drawn; js/src/attention/strength.ts has the same."""

from __future__ import annotations

import numpy as np

from attnscope.errors import InputError
from attnscope.export.measures import form_of

DECADES = 4


def row_strengths(values: np.ndarray, measure: str, color_scale: str = "linear") -> np.ndarray:
    """Say how strongly each number of each row is drawn, from 0 to 1; NaN stays.

    Shares keep their own scale from 0 to 1, scores stand between the least and the most of their row, and effects go by
    their size.

    Parameters
    ----------
    values
        float32 [queries, keys].
    measure
        What the numbers are.
    color_scale
        ``"linear"``, ``"log"`` over four decades, or ``"rank"`` in the row.
    """
    form = form_of(measure)
    sizes = np.abs(values) if form == "signed" else values
    if color_scale == "rank":
        return np.stack([ranks(row, row) for row in sizes]) if len(sizes) else sizes
    if form == "share":
        return between(sizes, 0, 1, color_scale)
    finite = np.isfinite(sizes)
    least = np.where(finite, sizes, np.inf).min(axis=1, keepdims=True, initial=np.inf)
    most = np.where(finite, sizes, -np.inf).max(axis=1, keepdims=True, initial=-np.inf)
    return between(sizes, 0 if form == "signed" else least, most, color_scale)


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


def ranks(values: np.ndarray, among: np.ndarray) -> np.ndarray:
    """Give the share of other numbers that are smaller: 1 for the largest; NaN stays."""
    known = np.sort(among[~np.isnan(among)], axis=None)
    if known.size == 1:
        return np.where(np.isnan(values), np.nan, 1.0)
    place = np.searchsorted(known, values) / max(1, known.size - 1)
    return np.where(np.isnan(values), np.nan, np.clip(place, 0, 1))


def domain_of(values: np.ndarray, measure: str) -> tuple[float, float]:
    """Give the numbers at the ends of the colours: shares start at 0, effects have it in the middle."""
    found = values[np.isfinite(values)]
    if not found.size:
        return (-1.0, 1.0) if form_of(measure) == "signed" else (0.0, 1.0)
    least, most = float(found.min()), float(found.max())
    if form_of(measure) == "share":
        least = 0.0
    if form_of(measure) == "signed":
        most = max(abs(least), abs(most))
        least = -most
    return (least, most) if most > least else (least, least + 1)


def in_domain(values: np.ndarray, domain: tuple[float, float], measure: str, color_scale: str) -> np.ndarray:
    """Give the place of each number on the colours, from 0 to 1; effects are always linear."""
    if form_of(measure) == "signed":
        return between(values, *domain, "linear")
    return ranks(values, values) if color_scale == "rank" else between(values, *domain, color_scale)


def one_of(name: str, value: object, choices: tuple[str, ...]) -> None:
    """Refuse a value that is not among the choices."""
    if value not in choices:
        raise InputError(f"{name} is one of {', '.join(map(repr, choices))}, got {value!r}.")
