"""How different two rows of weights are."""

from __future__ import annotations

import numpy as np

TINY = np.finfo(np.float32).tiny


def jensen_shannon(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Jensen–Shannon divergence of rows, as a share of the most it can be (ln 2): 0 equal, 1 on different keys.

    ``H((p + q) / 2) - (H(p) + H(q)) / 2``; its root is a distance (Endres & Schindelin 2003).

    Parameters
    ----------
    p, q
        float [..., keys]: rows that sum to 1, broadcast against each other.

    Returns
    -------
    numpy.ndarray
        float [...], 0 to 1.
    """
    return np.clip(bits((p + q) / 2) - (bits(p) + bits(q)) / 2, 0, 1)


def scaled(rows: np.ndarray) -> np.ndarray:
    """Scale rows to sum 1; NaN where a row has no weight."""
    total = rows.sum(axis=-1, keepdims=True)
    return rows / np.where(total > 0, total, np.nan)


def bits(rows: np.ndarray) -> np.ndarray:
    """Entropy in bits; a weight of 0 adds nothing."""
    found: np.ndarray = -np.einsum("...j,...j->...", rows, np.log2(np.maximum(rows, TINY)))
    return found
