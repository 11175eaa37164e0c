"""Which of many tokens are shown, and how a picture says so."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from attnscope.export.scene import Scene


def strongest(row: np.ndarray, count: int) -> np.ndarray:
    """Give the places of the largest numbers of a row, the largest first; masked keys and zeros never."""
    order = np.argsort(-np.where(np.isnan(row), -np.inf, row), kind="stable")[:count]
    return order[np.isfinite(row[order]) & (row[order] != 0)]


def around(n: int, middle: int | None, most: int) -> np.ndarray:
    """Give at most so many places in a row, round one of them or from the first on."""
    start = 0 if middle is None else min(max(0, middle - most // 2), max(0, n - most))
    return np.arange(start, min(n, start + most))


def around_with(n: int, middle: int | None, most: int, held: np.ndarray) -> np.ndarray:
    """Give so many places, round one of them or from the first on, and some that are to be among them."""
    for length in range(most - len(held), most + 1):
        places = np.union1d(around(n, middle, length), held)
        if len(places) >= min(most, n):
            break
    return places


def gaps_of(places: np.ndarray, n: int) -> list[int]:
    """Give the rows before which places are left out, and the one past the last where some follow."""
    rows = [int(at) + 1 for at in np.flatnonzero(np.diff(places) > 1)]
    if len(places) and places[0] > 0:
        rows.append(0)
    if len(places) and places[-1] < n - 1:
        rows.append(len(places))
    return rows


def counted(scene: Scene, side: str, places: np.ndarray) -> str:
    """Say how many of how many tokens are shown; nothing where it is all of them."""
    n = len(scene.axis(side))
    if len(places) == n:
        return ""
    what = "words" if scene.look.whole_words else "tokens"
    name = what if scene.is_one_text else f"{side} {what}"
    first = "first " if len(places) and places[-1] == len(places) - 1 else ""
    return f"{first}{len(places)} of {n:,} {name} shown"
