"""What does each key get of one token's attention, by weight, by norm and by contribution, side by side?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from attnscope.analysis.alti import alti
from attnscope.analysis.norm_weighted import norm_weighted
from attnscope.analysis.rollout import rollout
from attnscope.analysis.rows import attention_of
from attnscope.analysis.tables import table

if TYPE_CHECKING:
    from attnscope.attention.capture import Capture


@dataclass(frozen=True, eq=False)
class Beside:
    """Four answers to what one token attends to.

    Parameters
    ----------
    query
        Its position.
    layers
        True numbers of the layers, the rows of what follows.
    tokens
        Texts of the keys, its columns.
    weights
        float32 [layers, keys]: weight, mean of the heads.
    norms
        float32 [layers, keys]: share by length of what each key adds to the layer's output, heads added together.
    rollout
        float32 [layers, keys]: weights multiplied through the layers up to and including each.
    contributions
        float32 [layers, keys]: the same with contributions by vectors instead of weights, see :func:`alti`.
    """

    query: int
    layers: tuple[int, ...]
    tokens: tuple[str, ...]
    weights: np.ndarray
    norms: np.ndarray
    rollout: np.ndarray
    contributions: np.ndarray

    def table(self, layer: int | None = None) -> Any:
        """One row per key at one layer, None for the last; a pandas frame where pandas is there."""
        row = len(self.layers) - 1 if layer is None else self.layers.index(layer)
        names = ("weights", "norms", "rollout", "contributions")
        return table(
            [
                {"key": key, "token": token} | {name: float(getattr(self, name)[row, key]) for name in names}
                for key, token in enumerate(self.tokens)
            ]
        )


def beside(c: Capture, query: int | str, *, kind: str | None = None) -> Beside:
    """Put weights, norm shares, rollout and contributions of one token side by side, layer by layer.

    Parameters
    ----------
    query
        The token: a position, a token or a word.

    Raises
    ------
    InputError
        When the capture does not hold what contributions take, with the remedy.
    """
    attention = attention_of(c, kind)
    i = attention.queries.position(query)
    row = slice(i, i + 1)
    norms = [norm_weighted(c, layer, queries=row, joint=True, share=True, kind=kind)[0] for layer in attention.layers]
    weights = [attention.weights(layer, queries=i).mean(axis=0) for layer in attention.layers]
    return Beside(
        i,
        attention.layers,
        attention.keys.text,
        np.stack(weights),
        np.stack(norms),
        rollout(c, i, kind=kind),
        alti(c, i, kind=kind),
    )
