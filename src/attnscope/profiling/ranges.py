"""Which numbers have been gone through: intervals that do not touch, in order."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

Ranges = tuple[tuple[int, int], ...]
"""Intervals (first, one past the last)."""


def joined(ranges: Iterable[tuple[int, int]]) -> Ranges:
    """Put intervals in order, and join those that touch."""
    found: list[tuple[int, int]] = []
    for start, stop in sorted(ranges):
        if found and start <= found[-1][1]:
            found[-1] = found[-1][0], max(stop, found[-1][1])
        else:
            found.append((start, stop))
    return tuple(found)


def overlap(a: Ranges, b: Ranges) -> int | None:
    """Give the first number in both; None where there is none."""
    shared = (max(x[0], y[0]) for x in a for y in b if max(x[0], y[0]) < min(x[1], y[1]))
    return min(shared, default=None)
