"""Where does what a token holds come from, once attention is followed down through all layers?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attnscope.analysis.rows import attention_of, is_one_sequence
from attnscope.attention.compute import row_blocks
from attnscope.attention.layers import LazyWeights
from attnscope.attention.memory import require_memory
from attnscope.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from attnscope.attention.capture import Attention, Capture
    from attnscope.attention.layers import Layer

RESIDUAL = 0.5
"""Share of a token's own vector that a layer passes on untouched, as Abnar and Zuidema take it."""


def rollout(
    c: Capture,
    query: int | str | None = None,
    *,
    residual: float = RESIDUAL,
    chance: bool = False,
    kind: str | None = None,
) -> np.ndarray:
    """Multiply attention through the layers (Abnar & Zuidema 2020, "Quantifying attention flow in transformers").

    A layer mixes tokens by ``mixing = residual · I + (1 - residual) · mean of the heads``, its rows scaled to sum 1;
    the rollout up to layer ``l`` is ``mixing_l · … · mixing_0``. It follows sinks, and under a causal mask it leans to
    the first tokens whatever the weights are: compare it with ``chance=True``.

    Parameters
    ----------
    query
        One token: a position, a token or a word. Only its row is followed, which takes keys × keys per layer and never
        holds that many numbers. None for all.
    residual
        Share of a token's own vector that each layer passes on, 0 to 1.
    chance
        Roll out uniform attention under the same masks instead.

    Returns
    -------
    numpy.ndarray
        float32 [layers, keys] for a query, else [layers, queries, keys]: the rollout up to and including each layer;
        the last is the whole model's. Rows sum to 1.

    Raises
    ------
    InputError
        For attention between different tokens, or a residual outside 0 to 1.
    TooLargeError
        When all rows would not fit in memory.

    Examples
    --------
    >>> analysis.rollout(c).shape
    (2, 17, 17)
    >>> analysis.rollout(c, "bird")[-1, :8].round(2)
    array([0.06, 0.05, 0.08, 0.07, 0.02, 0.12, 0.17, 0.43], dtype=float32)
    """
    attention = attention_of(c, kind)
    mixing = Mixing(attention, residual, chance=chance)
    n = len(attention.queries)
    if query is not None:
        return every_layer(attention.queries.position(query), n, attention.n_layers, mixing.down)
    require_memory(4 * n * n * attention.n_layers, "Every row's rollout", "Ask for one row: rollout(c, query=…)")
    return mixing.every_row()


def require_one_text(attention: Attention) -> None:
    """Refuse to follow layers whose queries and keys are different tokens."""
    if not is_one_sequence(attention):
        raise InputError(
            f"Layers can be followed only where tokens attend to the same tokens; {attention.kind!r} attention is "
            "between different ones. Ask it of self-attention."
        )


def every_layer(query: int, n: int, count: int, down: Callable[[np.ndarray, int], np.ndarray]) -> np.ndarray:
    """Follow one query from each layer down to the tokens, all in one way down: float32 [layers, keys].

    Parameters
    ----------
    n, count
        Number of tokens and of layers.
    down
        Takes shares [.., queries] and the row of a layer, and gives shares [.., keys].
    """
    shares = np.zeros((count, n), np.float32)
    shares[:, query] = 1
    for row in reversed(range(count)):
        shares[row:] = down(shares[row:], row)
    return shares


class Mixing:
    """How each layer mixes tokens, all heads together, computed block by block.

    Parameters
    ----------
    attention
        Attention of one sequence on itself.
    residual
        Share of its own vector a token keeps in each layer.
    chance
        Take uniform attention under the same masks.
    """

    def __init__(self, attention: Attention, residual: float = RESIDUAL, *, chance: bool = False) -> None:
        require_one_text(attention)
        if isinstance(residual, bool) or not isinstance(residual, int | float) or not 0 <= residual <= 1:
            raise InputError(f"residual is a share from 0 to 1, got {residual!r}.")
        self._layers = list(attention.stored.values())
        self._residual, self._chance = residual, chance

    def blocks(self, row: int) -> Iterator[tuple[slice, np.ndarray]]:
        """Give the mixing of one layer, by its row in results: some queries, and their float32 [queries, keys]."""
        layer = self._layers[row]
        if isinstance(layer, LazyWeights):
            layer = layer.stored()
        for rows in row_blocks(layer.n_queries, 2 * layer.n_keys):
            yield rows, self._rows(layer, rows)

    def _rows(self, layer: Layer, rows: slice) -> np.ndarray:
        if self._chance:
            allowed = layer.mask.allowed(rows)
            mean = (allowed / np.maximum(allowed.sum(axis=1, keepdims=True), 1)).astype(np.float32)
        else:
            mean = layer.weight_rows(0, rows)
            for head in range(1, layer.n_heads):
                mean = mean + layer.weight_rows(head, rows)
            mean = mean / layer.n_heads
        mixed = np.asarray((1 - self._residual) * mean, np.float32)
        own = np.arange(rows.start, rows.stop)
        mixed[own - rows.start, own] += self._residual
        total = mixed.sum(axis=1)
        blind = total == 0  # sees no key and keeps nothing: it stays what it was
        mixed[own[blind] - rows.start, own[blind]] = 1
        mixed /= np.where(blind, 1, total)[:, None]
        return mixed

    def down(self, shares: np.ndarray, row: int) -> np.ndarray:
        """Follow shares of tokens after a layer to shares of tokens before it: [.., queries] to float32 [.., keys]."""
        found = np.zeros_like(shares)
        for rows, block in self.blocks(row):
            found += shares[..., rows] @ block
        return found

    def every_row(self) -> np.ndarray:
        """All rollouts up to each layer: float32 [layers, queries, keys]."""
        n = self._layers[0].n_queries
        found = np.empty((len(self._layers), n, n), np.float32)
        for row in range(len(self._layers)):
            for rows, block in self.blocks(row):
                found[row, rows] = block @ found[row - 1] if row else block
        return found
