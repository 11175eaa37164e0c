"""Positions along queries or keys, as they may be asked for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from attnscope.errors import InputTypeError, NotFoundError

Positions = int | slice | Sequence[int] | np.ndarray | None
"""Positions along the queries or keys: one, a slice, several, or None for all."""


def resolve(wanted: Positions, n: int, side: str) -> tuple[np.ndarray, bool]:
    """Resolve positions to an int array, and say whether it was a single one."""
    if wanted is None:
        return np.arange(n), False
    if isinstance(wanted, slice):
        return np.ascontiguousarray(np.arange(n)[wanted]), False
    try:
        chosen = np.asarray(wanted)
    except ValueError:  # rows of unequal length
        chosen = np.asarray(None)
    if chosen.size == 0:
        return np.zeros(0, np.int64), False
    if chosen.ndim > 1 or chosen.dtype.kind not in "iu":
        raise InputTypeError(f"{side} positions are an int, a slice or a sequence of ints, got {wanted!r}.")
    outside = chosen[(chosen < -n) | (chosen >= n)]
    if outside.size:
        raise NotFoundError(f"There is no {side} position {outside.flat[0]}: the positions are 0 to {n - 1}.")
    return np.atleast_1d(chosen).astype(np.int64) % n, chosen.ndim == 0
