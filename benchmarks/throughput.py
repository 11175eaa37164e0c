"""Read rows off the table of texts per second that `profile_throughput` prints."""

from __future__ import annotations

import re

from benchmarks.rows import Row

ALONE = "the model alone"
COLUMN = "texts per second"


def throughput(printed: str) -> list[Row]:
    """Make a row of each way in the table.

    Parameters
    ----------
    printed
        All that was printed.

    Returns
    -------
    list of Row
        How many texts a second each way takes, beside the model alone.

    Raises
    ------
    ValueError
        There is no such table in it.
    """
    lines = [[cell.strip() for cell in line.strip("| ").split("|")] for line in printed.splitlines() if "|" in line]
    header = next((at for at, cells in enumerate(lines) if COLUMN in cells), None)
    if header is None:
        raise ValueError(f"No table with a column {COLUMN!r} was printed, which profile_throughput writes.")
    column, found = lines[header].index(COLUMN), []
    for cells in lines[header + 1 :]:
        number = re.match(r"[\d,.]+", cells[column]) if len(cells) > column else None
        if number:
            many = float(number.group().replace(",", ""))
            found.append(Row("profile throughput", "BERT type", 0, cells[0], "texts/s", (many,), ALONE))
    return found
