"""What is 1/√width for?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from attnscope.analysis.tables import table
from attnscope.analysis.teaching.worked import masked_attention
from attnscope.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence


def scaling_effect(
    widths: Sequence[int] = (4, 16, 64, 256, 1024), *, n_keys: int = 64, n_queries: int = 512, seed: int = 0
) -> Any:
    """Compare scaled and unscaled attention between random vectors of growing width.

    The dot product of two vectors of independent numbers of variance 1 has variance ``width`` (Vaswani et al. 2017,
    footnote 4). Unscaled, scores therefore grow with the root of the width, softmax turns into a hard choice of one
    key, and hardly any gradient is left; divided by √width they stay as they are.

    Parameters
    ----------
    widths
        Lengths of the vectors.
    n_keys, n_queries
        How many are drawn, from a normal distribution.
    seed
        Of the draw.

    Returns
    -------
    pandas.DataFrame or list of dict
        Per ``width`` and ``scaled``: ``score_sd``, the standard deviation of the scores (√width, or 1); ``entropy`` as
        a share of that of uniform weights; ``max_weight``; both are means over queries. ``gradient`` is the mean size
        of the softmax's derivative, ``Σ_keys p (1 - p)``.

    Examples
    --------
    >>> analysis.scaling_effect((4, 256)).round(2)
       width  scaled  score_sd  entropy  max_weight  gradient
    0      4   False      1.97     0.69        0.26      0.86
    1      4    True      0.99     0.89        0.10      0.96
    2    256   False     16.02     0.07        0.89      0.16
    3    256    True      1.00     0.89        0.11      0.96
    """
    if n_keys < 2 or n_queries < 1 or any(width < 1 for width in widths):
        raise InputError(
            f"Give widths of 1 or more, 2 keys or more and 1 query or more; got {list(widths)}, {n_keys}, {n_queries}."
        )
    rows = []
    for width in widths:
        draw = np.random.default_rng([seed, width])
        q, k = draw.normal(size=(n_queries, width)), draw.normal(size=(n_queries, n_keys, width))
        for scaled in (False, True):
            found = masked_attention(q[:, None], k, scale=None if scaled else 1.0)
            p = found.weights[:, 0]
            entropy = -(p * np.log(np.maximum(p, np.finfo(float).tiny))).sum(-1)
            rows.append(
                {
                    "width": int(width),
                    "scaled": scaled,
                    "score_sd": float(found.scores.std()),
                    "entropy": float(entropy.mean() / np.log(n_keys)),
                    "max_weight": float(p.max(-1).mean()),
                    "gradient": float((p * (1 - p)).sum(-1).mean()),
                }
            )
    return table(rows)
