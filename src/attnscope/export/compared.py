"""The numbers of two captures and their difference, over the tokens of both texts together."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from attnscope.analysis.compare import common
from attnscope.errors import AttnscopeError
from attnscope.export.aligned import Aligned, align
from attnscope.export.cells import Grid
from attnscope.export.measures import label_of
from attnscope.export.scene import Scene
from attnscope.wire.comparing import change_of
from attnscope.wire.describe import measures_shown

if TYPE_CHECKING:
    from attnscope.attention.capture import Capture
    from attnscope.export.axis import Axis
    from attnscope.export.look import Look
    from attnscope.export.series import Series

PANES = {"a": "A", "b": "B", "change": "B − A"}


@dataclass(frozen=True, eq=False)
class Compared:
    """Two captures seen through the same choices.

    Parameters
    ----------
    scene
        What is shown.
    queries, keys
        The places of both texts.
    first
        The head selected last.
    second
        The same in the second capture; None where it has none.
    refusal
        Why there is nothing to compare; empty where there is.
    """

    scene: Scene
    queries: Aligned
    keys: Aligned
    first: Series
    second: Series | None
    refusal: str

    @classmethod
    def of(cls, scene: Scene) -> Compared:
        """Look up the second capture, and lay the texts beside each other."""
        other = scene.other
        if other is None:
            raise AttnscopeError("There is no second capture to compare with.")
        refusal, runs, second = _refusal(scene, other), (np.zeros((0, 3), int),) * 2, None
        if not refusal:
            found = common(scene.capture, other, kind=scene.attention.kind)
            heads = [list(pair) for pair in scene.series[-1].heads]
            runs, second = (found.queries, found.keys), Scene.of(other, _without_pins(scene, heads)).series[-1]
        queries, keys = (second.queries, second.keys) if second else (scene.queries, scene.keys)
        aligned = align(scene.queries, queries, runs[0] if second else _whole(scene.queries))
        same = scene.is_one_text and queries is keys
        beside = aligned if same else align(scene.keys, keys, runs[1] if second else _whole(scene.keys))
        return cls(scene, aligned, beside, scene.series[-1], second, refusal)

    def grids(self, most: int) -> dict[str, tuple[Grid, np.ndarray]]:
        """Read the numbers of each pane, and where there is no such query or key.

        The largest of each cell where tokens are more than ``most``: by size, where numbers have a sign.
        """
        rows, columns = len(self.queries.axis), len(self.keys.axis)
        span = max(1, -(-rows // most)), max(1, -(-columns // most))
        parts: dict[str, list[np.ndarray]] = {name: [] for name in PANES}
        step = span[0] * max(1, 256 // span[0])
        for start in range(0, rows, step):
            block = np.arange(start, min(rows, start + step))
            one, two = self._rows("first", block), self._rows("second", block)
            for name, values in zip(PANES, (one, two, two - one), strict=True):
                parts[name].append(_pooled(values, span))
        axes = (self.queries.axis, self.keys.axis)
        places = np.arange(rows), np.arange(columns)
        return {
            name: (Grid(np.concatenate(blocks), *places, span, axes), self._blank(name, span))
            for name, blocks in parts.items()
        }

    def lines(self, side: str, units: list[int]) -> np.ndarray:
        """Numbers of what is pinned in both: float64 [3, places], of A, of B, and what they differ by."""
        along = self.keys if side == "query" else self.queries
        across = self.queries if side == "query" else self.keys
        one = along.spread(self.first.together(side, units), "first")
        two, theirs = np.full(len(one), np.nan), across.beside(units)
        if self.second and theirs:
            two = along.spread(self.second.together(side, theirs), "second")
        return np.stack([one, two, two - one]).astype(np.float64)

    def ranked(self, count: int) -> list[tuple[int, int, float]]:
        """Give the heads that changed most, as layer, head and change."""
        if self.scene.other is None or not self.second:
            return []
        attention = self.scene.attention
        change = change_of(self.scene.capture, self.scene.other, attention.kind)
        order = np.argsort(-np.nan_to_num(change, nan=-1), axis=None, kind="stable")[:count]
        found = [np.unravel_index(int(at), change.shape) for at in order]
        return [
            (attention.layers[row], int(head), float(change[row, head]))
            for row, head in found
            if not np.isnan(change[row, head])
        ]

    def _rows(self, side: str, block: np.ndarray) -> np.ndarray:
        series = self.first if side == "first" else self.second
        units = (self.queries.first if side == "first" else self.queries.second)[block]
        found = np.full((len(block), len(self.keys.axis)), np.nan, np.float32)
        there = units >= 0
        if series is not None and there.any():
            found[there] = self.keys.spread(series.rows(units[there]), side)
        return found

    def _blank(self, name: str, span: tuple[int, int]) -> np.ndarray:
        """Where a pane has no such query or key."""
        sides = {"a": ["first"], "b": ["second"], "change": ["first", "second"]}[name]
        rows = np.logical_or.reduce([getattr(self.queries, side) < 0 for side in sides])
        columns = np.logical_or.reduce([getattr(self.keys, side) < 0 for side in sides])
        if self.second is None and name != "a":
            rows = np.ones_like(rows)
        every = np.logical_and.reduceat
        rows, columns = (
            every(each, np.arange(0, len(each), size)) for each, size in zip((rows, columns), span, strict=True)
        )
        return rows[:, None] | columns[None, :]


def _refusal(scene: Scene, other: Capture) -> str:
    """Say why what is shown cannot be compared; nothing where it can."""
    try:
        common(scene.capture, other, kind=scene.attention.kind)
    except AttnscopeError as error:
        return str(error)
    theirs = other[scene.attention.kind]
    for layer, head in scene.series[-1].heads:
        if layer not in theirs.stored or head >= theirs.layer(layer).n_heads:
            return f"The second capture has no layer {layer} head {head}."
    measure = scene.look.measure
    return "" if measure in measures_shown(theirs) else f"The second capture has no {label_of(measure)}."


def _without_pins(scene: Scene, heads: list[list[int]]) -> Look:
    return replace(
        scene.look, kind=scene.attention.kind, heads=heads, query=None, key=None, more_queries=(), more_keys=()
    )


def _whole(axis: Axis) -> np.ndarray:
    return np.array([[0, 0, len(axis.tokens)]])


def _pooled(values: np.ndarray, span: tuple[int, int]) -> np.ndarray:
    if span == (1, 1):
        return values
    rows, columns = (np.arange(0, n, size) for n, size in zip(values.shape, span, strict=True))
    most = np.fmax.reduceat(np.fmax.reduceat(values, rows, axis=0), columns, axis=1)
    least = np.fmin.reduceat(np.fmin.reduceat(values, rows, axis=0), columns, axis=1)
    return np.where(np.abs(least) > np.abs(most), least, most)
