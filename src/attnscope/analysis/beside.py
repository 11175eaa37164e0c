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

    Examples
    --------
    >>> found = analysis.beside(c, "bird")
    >>> found.norms.shape
    (2, 17)
    >>> found.tokens[found.contributions[-1].argmax()]
    'small'
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

    Examples
    --------
    >>> found = analysis.beside(c, "bird")
    >>> found.table().head(8).round(2)
       key  token  weights  norms  rollout  contributions
    0    0    <s>     0.07   0.09     0.06           0.07
    1    1    the     0.01   0.02     0.05           0.16
    2    2    cat     0.15   0.17     0.08           0.06
    3    3    saw     0.20   0.21     0.07           0.00
    4    4      a     0.00   0.00     0.02           0.00
    5    5  small     0.00   0.00     0.12           0.29
    6    6    red     0.01   0.01     0.17           0.22
    7    7   bird     0.55   0.49     0.43           0.20
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
