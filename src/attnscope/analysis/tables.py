"""Small tables: a pandas frame where pandas is there, a list of rows otherwise."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any


def table(rows: list[dict[str, Any]], columns: list[str] | None = None) -> Any:
    """Make a table of rows.

    Parameters
    ----------
    rows
        One mapping per row, all with the same names.
    columns
        Names of the columns where there may be no row.

    Returns
    -------
    pandas.DataFrame or list of dict
        A frame where pandas is installed.
    """
    if find_spec("pandas") is None:
        return rows
    import pandas as pd

    return pd.DataFrame(rows, columns=columns)
