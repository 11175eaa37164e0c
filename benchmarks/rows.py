"""What was measured, row by row: a question, an input, who was asked, and every sample."""

from __future__ import annotations

import json
import statistics
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING

from benchmarks.machine import facts

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Row:
    """One measurement.

    Parameters
    ----------
    question
        What was measured, such as ``"capture time"``.
    model
        The model or what stands for one, in words.
    tokens
        Length of the text; 0 where there is no one length.
    who
        Whom it was measured on.
    unit
        Of the samples.
    samples
        One number per round; empty where nothing could be measured.
    beside
        Who stands for 1 in ratios of this question; empty where ratios say nothing.
    paired
        Whether sample *i* was taken in the same round as everybody's sample *i*, so that a ratio can be taken per
        round.
    note
        Why there are no samples, or what else a reader has to know.
    """

    question: str
    model: str
    tokens: int
    who: str
    unit: str
    samples: tuple[float, ...] = ()
    beside: str = ""
    paired: bool = False
    note: str = ""

    def refused(self, reason: str) -> Row:
        """Give this row with a reason in place of samples."""
        return replace(self, samples=(), note=reason)


@dataclass(frozen=True)
class Spread:
    """The median of some numbers, and the lowest and highest of them."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, numbers: tuple[float, ...]) -> Spread:
        """Sum up one number or more."""
        return cls(statistics.median(numbers), min(numbers), max(numbers))


def ratio(row: Row, rows: list[Row]) -> Spread | None:
    """How many times the reference's a row is.

    Parameters
    ----------
    row
        The row.
    rows
        All rows, in which the reference's of the same question and input is looked for.

    Returns
    -------
    Spread or None
        Of the ratios round by round where rounds are paired, else of all samples over the reference's median. None
        where either has no samples, or the reference's median is not above zero.
    """
    same = (row.question, row.model, row.tokens, row.beside)
    reference = next((r for r in rows if (r.question, r.model, r.tokens, r.who) == same), None)
    if reference is None or not row.samples or not reference.samples or statistics.median(reference.samples) <= 0:
        return None
    if row.paired and len(row.samples) == len(reference.samples):
        return Spread.of(tuple(a / b for a, b in zip(row.samples, reference.samples, strict=True)))
    middle = statistics.median(reference.samples)
    return Spread.of(tuple(sample / middle for sample in row.samples))


@dataclass
class Sheet:
    """Rows on their way into a file, which is complete after each of them: a run cut short keeps what it had.

    Parameters
    ----------
    benchmark
        Name of the benchmark.
    path
        The JSON file; None to keep the rows only.
    rows
        The rows so far.
    """

    benchmark: str
    path: Path | None
    rows: list[Row] = field(default_factory=list)

    def add(self, *rows: Row, aloud: bool = True) -> None:
        """Add rows, say them unless told not to, and write the file."""
        self.rows += rows
        for row in rows if aloud else ():
            print(spoken(row), flush=True)
        if self.path is not None:
            found = {"benchmark": self.benchmark, "machine": facts(), "rows": [asdict(row) for row in self.rows]}
            self.path.write_text(json.dumps(found, indent=1), encoding="utf-8")


def spoken(row: Row) -> str:
    """A row as one line of a terminal."""
    told = "–"
    if row.samples:
        seen = Spread.of(row.samples)
        told = f"{seen.median:,.4g} {row.unit} ({seen.low:,.4g} to {seen.high:,.4g})"
    return f"{row.question} | {row.model} | {row.tokens:,} tokens | {row.who} | {told} | {row.note}"


def read(path: Path) -> list[Row]:
    """Read the rows of a sheet, none where there is no file."""
    if not path.is_file():
        return []
    found = json.loads(path.read_text(encoding="utf-8"))["rows"]
    return [Row(**{**row, "samples": tuple(row["samples"])}) for row in found]
