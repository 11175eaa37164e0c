"""What does temperature do to one row of weights?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from attnscope.analysis.steps import steps
from attnscope.analysis.tables import table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from attnscope.attention.capture import Capture


@dataclass(frozen=True, eq=False)
class TemperatureSweep:
    """One row of weights at several temperatures.

    Parameters
    ----------
    layer, head, query
        The row.
    token, key_tokens
        The query's token and the keys'.
    temperatures
        float64 [temperatures].
    weights
        float32 [temperatures, keys].
    entropy
        float32 [temperatures]: over the keys, as a share of what it is for equal weights: 1 is flat, 0 is one key. It
        never falls as the temperature rises. NaN where the query sees a single key.

    Examples
    --------
    >>> sweep = analysis.temperature_sweep(c, 1, 0, "bird", (0.1, 1, 10))
    >>> sweep.entropy.round(2)
    array([0.  , 0.22, 0.97], dtype=float32)
    """

    layer: int
    head: int
    query: int
    token: str
    key_tokens: tuple[str, ...]
    temperatures: np.ndarray
    weights: np.ndarray
    entropy: np.ndarray

    def table(self) -> Any:
        """List the temperatures.

        Returns
        -------
        pandas.DataFrame or list of dict
            Per ``temperature``: ``entropy``, ``max_weight`` and the strongest ``token``.
        """
        return table(
            [
                {
                    "temperature": float(self.temperatures[at]),
                    "entropy": float(self.entropy[at]),
                    "max_weight": float(row.max()),
                    "token": self.key_tokens[int(row.argmax())],
                }
                for at, row in enumerate(self.weights)
            ]
        )


def temperature_sweep(
    c: Capture,
    layer: int,
    head: int,
    query: int | str,
    temperatures: Sequence[float] = (0.1, 0.2, 0.5, 1, 2, 5, 10),
    *,
    kind: str | None = None,
) -> TemperatureSweep:
    """Compute one row of weights at several temperatures; see :func:`attnscope.analysis.steps`.

    Examples
    --------
    >>> sweep = analysis.temperature_sweep(c, 1, 0, "bird", (0.1, 1, 10))
    >>> sweep.weights.max(axis=-1).round(2)
    array([1.  , 0.86, 0.21], dtype=float32)
    """
    found = [steps(c, layer, head, query, temperature=temperature, kind=kind) for temperature in temperatures]
    weights = np.stack([each.weights for each in found])
    shares = weights / np.maximum(weights.sum(axis=1, keepdims=True, dtype=np.float64), np.finfo(np.float32).tiny)
    entropy = -(shares * np.log(np.maximum(shares, np.finfo(np.float64).tiny))).sum(axis=1)
    seen = int(found[0].visible.sum())
    return TemperatureSweep(
        found[0].layer,
        found[0].head,
        found[0].query,
        found[0].tokens[0],
        found[0].tokens[1:],
        np.asarray(temperatures, np.float64),
        weights,
        (entropy / np.log(seen) if seen > 1 else np.full(len(found), np.nan)).astype(np.float32),
    )
