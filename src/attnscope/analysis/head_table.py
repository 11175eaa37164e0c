"""Every statistic of every head in one table, with its chance level."""

from __future__ import annotations

from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from attnscope.analysis.distance import distance_of_rows
from attnscope.analysis.entropy import normalized_entropy
from attnscope.analysis.local_share import local_share_of_rows
from attnscope.analysis.max_weight import max_of_rows
from attnscope.analysis.offsets import offset_of_rows
from attnscope.analysis.rows import Measure, head_means
from attnscope.analysis.sinks import first_of_rows, special_of_rows
from attnscope.errors import NotFoundError

if TYPE_CHECKING:
    import numpy as np

    from attnscope.attention.capture import Capture

_ANY_TOKENS: dict[str, Measure] = {
    "entropy": normalized_entropy,
    "max_weight": max_of_rows,
    "sink_share": first_of_rows,
    "special_share": special_of_rows,
}
_ONE_SEQUENCE: dict[str, Measure] = {
    "previous_token": partial(offset_of_rows, offset=-1),
    "self_share": partial(offset_of_rows, offset=0),
    "next_token": partial(offset_of_rows, offset=1),
    "local_share": local_share_of_rows,
    "mean_distance": distance_of_rows,
}


def head_table(c: Capture, *, kind: str | None = None) -> Any:
    """Statistics of every head, and what uniform attention under the same mask would give.

    Returns
    -------
    pandas.DataFrame or list of dict
        One row per head: ``layer``, ``head``, then per statistic its value and, as ``…_chance``, its chance level;
        a frame where pandas is installed. ``entropy`` is normalised, ``local_share`` is for a window of 3,
        ``mean_distance`` is in tokens.
    """
    measures = measures_of(c, kind)
    values = head_means(c, measures, kind)
    chance = head_means(c, measures, kind, chance=True)
    attention = c[c.kinds[0] if kind is None else kind]
    rows = [
        {"layer": number, "head": head}
        | {
            column: float(table[name][row, head])
            for name in measures
            for column, table in ((name, values), (f"{name}_chance", chance))
        }
        for row, (number, layer) in enumerate(attention.stored.items())
        for head in range(layer.n_heads)
    ]
    if find_spec("pandas") is None:
        return rows
    import pandas as pd

    return pd.DataFrame(rows)


def measures_of(c: Capture, kind: str | None) -> dict[str, Measure]:
    """Name the statistics that mean something for one kind of attention.

    Those about positions need queries and keys of one text; what no row can show is left out: the next token under
    a causal mask, special tokens where there are none.
    """
    attention = c[c.kinds[0] if kind is None else kind]
    measures = dict(_ANY_TOKENS)
    if attention.queries is attention.keys or attention.queries.text == attention.keys.text:
        measures |= _ONE_SEQUENCE
        if attention.is_causal:
            del measures["next_token"]
    if not attention.keys.special.any():
        del measures["special_share"]
    return measures


def statistic(c: Capture, name: str, *, kind: str | None = None) -> np.ndarray:
    """Give one column of the table as float32 [layers, heads].

    Raises
    ------
    NotFoundError
        With the statistics there are.
    """
    measures = measures_of(c, kind)
    if name not in measures:
        raise NotFoundError(f"There is no statistic {name!r} here; there are {', '.join(measures)}.")
    return head_means(c, {name: measures[name]}, kind)[name]
