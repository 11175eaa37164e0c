"""Every statistic of every head in one table, with its chance level."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attnscope.analysis.rows import attention_of, head_means
from attnscope.analysis.statistics import measures_of, statistic
from attnscope.analysis.tables import table

if TYPE_CHECKING:
    from attnscope.attention.capture import Capture

__all__ = ["head_table", "measures_of", "statistic"]


def head_table(c: Capture, *, content: bool = False, kind: str | None = None) -> Any:
    """Statistics of every head, and what uniform attention under the same mask would give.

    Parameters
    ----------
    content
        Leave special tokens out on both sides, and scale what is left of each row to sum 1.

    Returns
    -------
    pandas.DataFrame or list of dict
        One row per head: ``layer``, ``head``, then per statistic its value and, as ``…_chance``, its chance level;
        a frame where pandas is installed. ``entropy`` is normalised, ``local_share`` is for a window of 3,
        ``mean_distance`` and ``mean_offset`` are in tokens.

    Examples
    --------
    >>> table = analysis.head_table(c)
    >>> table[["layer", "head", "entropy", "previous_token"]].head(2).round(2)
       layer  head  entropy  previous_token
    0      0     0     0.92            0.19
    1      0     1     0.43            0.07
    """
    measures = measures_of(c, kind)
    values = head_means(c, measures, kind, content=content)
    chance = head_means(c, measures, kind, chance=True, content=content)
    return table(
        [
            {"layer": number, "head": head}
            | {
                column: float(numbers[name][row, head])
                for name in measures
                for column, numbers in ((name, values), (f"{name}_chance", chance))
            }
            for row, (number, layer) in enumerate(attention_of(c, kind).stored.items())
            for head in range(layer.n_heads)
        ]
    )
