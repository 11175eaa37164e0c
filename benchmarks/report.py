"""Write what was measured as Markdown: a table for each question, with ratios, their spread, and what grew how fast."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Any

from benchmarks.growth import exponent
from benchmarks.rows import Row, Spread, ratio

if TYPE_CHECKING:
    from collections.abc import Iterable

START, END = "<!-- the last run -->", "<!-- its end -->"
SPREAD_FROM = 2
"""Samples from which on the lowest and the highest are shown."""
GROWTH_FROM = 256
"""Tokens from which on growth is fitted: below that, what does not depend on the text weighs too much."""


def report(rows: list[Row], machine: dict[str, str]) -> str:
    """Give the whole report.

    Parameters
    ----------
    rows
        What was measured, in the order in which questions are to stand.
    machine
        Facts about the machine.

    Returns
    -------
    str
        Markdown.
    """
    parts = ["# Benchmarks", ", ".join(f"{name} {value}" for name, value in machine.items()) + "."]
    for question in unique(row.question for row in rows):
        parts += section(question, [row for row in rows if row.question == question])
    return "\n\n".join(parts) + "\n"


def put_into(text: str, made: str) -> str:
    """Put a report into a longer text, between its markers, its headings one level down and without its title.

    Parameters
    ----------
    text
        What has a line `START` and, below it, a line `END`.
    made
        The report.

    Returns
    -------
    str
        The text with the report in place of what was between the markers.

    Raises
    ------
    ValueError
        A marker is missing.
    """
    before, start, rest = text.partition(START)
    _, end, after = rest.partition(END)
    if not (start and end):
        raise ValueError(f"The file has no place for the report: it needs a line {START!r} and, below it, {END!r}.")
    body = made.partition("\n\n")[2].replace("\n## ", "\n### ")
    return f"{before}{START}\n\n{body}\n{END}{after}"


def section(question: str, rows: list[Row]) -> list[str]:
    """Give one question's heading, table, notes and growth."""
    who = unique(row.who for row in rows)
    beside = next((row.beside for row in rows if row.beside), "")
    head = ["input", *who]
    lines = [line(head), line(["---"] * len(head))]
    for model, tokens in unique((row.model, row.tokens) for row in rows):
        here = {row.who: row for row in rows if (row.model, row.tokens) == (model, tokens)}
        about = f"{model}, {tokens:,} tokens" if tokens else model
        lines.append(line([about, *(cell(here[name], rows) if name in here else "" for name in who)]))
    parts = [f"## {question[0].upper()}{question[1:]}"]
    if beside:
        parts.append(f"In brackets the lowest and the highest. × is times {beside}.")
    parts.append("\n".join(lines))
    parts += growth(rows)
    return parts


def cell(row: Row, rows: list[Row]) -> str:
    """Give a row's median and ratio with their spreads, or why there are none."""
    if not row.samples:
        return row.note or "–"
    seen, unit = Spread.of(row.samples), row.unit
    if unit == "MB" and 0 < abs(seen.median) < 1:
        seen, unit = Spread(seen.median * 1e3, seen.low * 1e3, seen.high * 1e3), "kB"
    said = [f"{number(seen.median)} {unit}{between(seen, len(row.samples))}"]
    times = ratio(row, rows)
    if times is not None and row.who != row.beside:
        said.append(f"**{number(times.median)} ×**{between(times, len(row.samples))}")
    return ", ".join([*said, *([row.note] if row.note else [])])


def growth(rows: list[Row]) -> list[str]:
    """Say with which power of the tokens a number of megabytes or milliseconds grows, model by model."""
    said = []
    for model in unique(row.model for row in rows):
        for who in unique(row.who for row in rows):
            kept = [r for r in rows if (r.model, r.who) == (model, who) and r.samples and r.tokens >= GROWTH_FROM]
            power = exponent([r.tokens for r in kept], [statistics.median(r.samples) for r in kept])
            if power is not None:
                said.append(f"{who} tokens^{power:.2f}")
        if said and "tokens" not in model:
            said[-1] += f" ({model})"
    return [f"Growth from {GROWTH_FROM:,} tokens up: {'; '.join(said)}."] if said else []


def between(spread: Spread, samples: int) -> str:
    """Give the lowest and the highest in brackets, where there are several."""
    return f" ({number(spread.low)}–{number(spread.high)})" if samples >= SPREAD_FROM else ""


def number(value: float) -> str:
    """Give three digits that count, without exponents."""
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.{max(0, 2 - exponent_of(value))}f}"


def exponent_of(value: float) -> int:
    """The power of ten of a number's first digit."""
    return int(f"{value:e}".partition("e")[2])


def line(cells: Iterable[str]) -> str:
    """Give one line of a table."""
    return f"| {' | '.join(text.replace('|', '/') for text in cells)} |"


def unique(items: Iterable[Any]) -> list[Any]:
    """Give each item once, in the order they came."""
    return list(dict.fromkeys(items))
