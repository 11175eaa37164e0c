"""What is followed through the layers, and what of it is drawn; js/src/views/flow-model.ts has the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from attnscope.export.scene import Scene

ALL_ROWS, MOST_ROWS = 48, 160
"""Tokens up to which all have a row, and most that have one."""
LINKS, PER_LAYER = 2000, 120


@dataclass(frozen=True, eq=False)
class Followed:
    """What is drawn.

    Parameters
    ----------
    values
        float32 [columns, tokens]: shares of the flow, what they exceed chance by, or weights; NaN where masked.
    links
        Per layer [links, 3]: token above, token below, and share or excess; None where no routes are followed.
    excess
        Whether numbers are what exceeds chance.
    head
        The head of the weights; None for the mean of all.
    rows
        Tokens that have a row.
    missing
        The most that the others hold of a column.
    carried, least, weakest
        What part of the flow the links carry on average, the least of any layer, and which that is.
    """

    values: np.ndarray
    links: list[np.ndarray] | None
    excess: bool
    head: int | None
    rows: np.ndarray
    missing: float
    carried: float = 0.0
    least: float = 0.0
    weakest: int = 0


def is_routed(scene: Scene) -> bool:
    """Whether routes are shown; only where tokens attend to the same tokens are there any."""
    return scene.is_one_text and not scene.look.flag("layered", default=False)


def followed(scene: Scene) -> Followed:
    """Ask for the routes, or the layers, and choose what is drawn."""
    if not is_routed(scene):
        head = None if scene.look.flag("all", default=True) else scene.head[1]
        values = scene.ask("evolution", query=scene.query, head=head).values
        rows, missing = _rows(values, [scene.query] if scene.is_one_text else [])
        return Followed(values, None, False, head, rows, missing)
    layers = scene.attention.n_layers
    level = int(scene.look.number("level", layers, 1, layers))
    excess = scene.look.flag("excess", default=False)
    edges = max(1, min(PER_LAYER, LINKS // level))
    numbers = scene.ask("flow", query=scene.query, level=level, edges=edges, excess=excess).values
    n = len(scene.attention.queries)
    shares, chances = numbers[: 2 * (level + 1) * n].reshape(2, level + 1, n)
    found = numbers[2 * (level + 1) * n :].reshape(level, edges, 4)
    values = shares - chances if excess else shares
    links, sums = [], []
    for layer in found:
        real = layer[(layer[:, 2] != 0) | (layer[:, 3] != 0)]
        size = real[:, 2] - real[:, 3] if excess else real[:, 2]
        kept = np.abs(size) >= scene.look.threshold * np.abs(size).max(initial=0)
        sums.append(float(real[kept, 2].sum()))
        links.append(np.column_stack([real[kept, 0], real[kept, 1], size[kept]]))
    ends = np.concatenate([layer[:, :2] for layer in links]).ravel().astype(int)
    rows, missing = _rows(values, list(dict.fromkeys([scene.query, *ends.tolist()]))[:MOST_ROWS])
    weakest = int(np.argmin(sums))
    return Followed(values, links, excess, None, rows, missing, float(np.mean(sums)), sums[weakest], weakest)


def _rows(values: np.ndarray, must: list[int]) -> tuple[np.ndarray, float]:
    """Choose the tokens that have a row: all of a short text, else those with the largest numbers anywhere."""
    n = values.shape[1]
    if n <= ALL_ROWS:
        return np.arange(n), 0.0
    sizes = np.nan_to_num(np.abs(values))
    chosen = dict.fromkeys(must)
    for token in np.argsort(-sizes.max(axis=0), kind="stable").tolist():
        if len(chosen) >= ALL_ROWS:
            break
        chosen[token] = None
    rows = np.array(sorted(chosen), int)
    left = sizes.copy()
    left[:, rows] = 0
    return rows, float(left.sum(axis=1).max(initial=0))
