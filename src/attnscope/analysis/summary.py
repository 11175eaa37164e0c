"""Each layer in a few numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from attnscope.analysis.rows import attention_of, head_means
from attnscope.analysis.statistics import measures_of
from attnscope.analysis.tables import table

if TYPE_CHECKING:
    from attnscope.attention.capture import Capture


def summary(c: Capture, *, content: bool = False, kind: str | None = None) -> Any:
    """Every statistic of :func:`head_table` over the heads of each layer.

    Parameters
    ----------
    content
        Leave special tokens out on both sides, and scale what is left of each row to sum 1.

    Returns
    -------
    pandas.DataFrame or list of dict
        Per layer and statistic: ``layer``, ``statistic``, the ``mean`` over heads with its ``sd``, ``min`` and ``max``,
        and the ``chance`` level.

    Examples
    --------
    >>> analysis.summary(c).head(2).round(2)
       layer   statistic  mean    sd   min   max  chance
    0      0     entropy  0.51  0.29  0.13  0.92     1.0
    1      0  max_weight  0.67  0.23  0.32  0.95     0.2
    """
    measures = measures_of(c, kind)
    values = head_means(c, measures, kind, content=content)
    chance = head_means(c, measures, kind, chance=True, content=content)
    rows = []
    for row, number in enumerate(attention_of(c, kind).layers):
        for name in measures:
            heads = values[name][row][~np.isnan(values[name][row])].astype(np.float64)
            if heads.size:
                rows.append(
                    {
                        "layer": number,
                        "statistic": name,
                        "mean": float(heads.mean()),
                        "sd": float(heads.std()),
                        "min": float(heads.min()),
                        "max": float(heads.max()),
                        "chance": float(chance[name][row, 0]),
                    }
                )
    return table(rows, ["layer", "statistic", "mean", "sd", "min", "max", "chance"])
