"""How fast a number grows with the length of a text."""

from __future__ import annotations

import numpy as np


def exponent(tokens: list[int], values: list[float]) -> float | None:
    """Fit the power of the length that values grow with: 1 is linear, 2 its square.

    Parameters
    ----------
    tokens
        Lengths.
    values
        One for each.

    Returns
    -------
    float or None
        Slope of the logarithms, by least squares over the values above zero; None where fewer than two are left.
    """
    kept = [(n, value) for n, value in zip(tokens, values, strict=True) if value > 0]
    if len({n for n, _ in kept}) < 2:
        return None
    return float(np.polyfit(*np.log(np.array(kept)).T, 1)[0])
