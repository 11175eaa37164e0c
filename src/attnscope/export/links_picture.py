"""Links as a picture: two columns of tokens and lines between them, as strong as the numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from attnscope.export.figure import Figure
from attnscope.export.frame import WIDTH, add_note, add_title, title_height
from attnscope.export.labels import fitted, shown, text_width
from attnscope.export.palette import Palette, series_color
from attnscope.export.series import Series, strengths

if TYPE_CHECKING:
    from collections.abc import Sequence

    from attnscope.attention.tokens import Tokens

MOST_TOKENS = 48
MOST_LINKS = 400
BOLD = 0.25
NAMED_KEYS = 4
"""Keys of the pinned query whose numbers are written out, per head."""

_QUERY_EDGE, _FIRST_LINE = 210, 220


@dataclass(frozen=True)
class LinksView:
    """What is shown beside the heads.

    Parameters
    ----------
    query, key
        Pinned positions, or None.
    threshold
        Links weaker than this are left out.
    color_scale
        How numbers become strength.
    most_links
        Most links drawn, the strongest; the picture says how many there are.
    """

    query: int | None = None
    key: int | None = None
    threshold: float = 0.06
    color_scale: str = "linear"
    most_links: int = MOST_LINKS


def links_figure(name: str, series: Sequence[Series], view: LinksView, palette: Palette, title: str) -> Figure:
    """Draw the links of the selected heads.

    Parameters
    ----------
    name
        Name of the model.
    series
        The heads.
    view
        What is pinned and left out.
    palette
        The colours.
    title
        What a screen reader says.
    """
    return _Links(name, series, view, palette, title).figure


class _Links:
    def __init__(self, name: str, series: Sequence[Series], view: LinksView, palette: Palette, title: str) -> None:
        self.series, self.view, self.palette = series, view, palette
        attention = series[0].attention
        self.tokens = {"query": attention.queries, "key": attention.keys}
        self.colors = [series_color(palette, i, len(series)) for i in range(len(series))]
        self.pinned = None if view.query is None else [one.rows(np.array([view.query]))[0] for one in series]
        self.queries, self.keys = self._chosen()
        self.pitch, self.size = _row_of(max(len(self.queries), len(self.keys)))
        top = title_height(name, series, palette)
        self.first = top + 34
        height = self.first + max(len(self.queries), len(self.keys)) * self.pitch + 30
        self.figure = Figure(WIDTH, height, palette.ground, title)
        add_title(self.figure, name, series, palette)
        square = min(18.0, self.pitch - 3, 108 / len(series))
        self.square, self.step = square, square + 2
        self.last_line = 500 if self.pinned is None else 420
        self.squares = self.last_line + 5
        self.key_edge = self.squares + (0 if self.pinned is None else self.step * len(series)) + 5
        self._headings(top + 16)
        self._paint_labels()
        self._paint_squares()
        counts = self._paint_lines()
        add_note(self.figure, self._note(*counts), palette)

    def _chosen(self) -> tuple[np.ndarray, np.ndarray]:
        """Choose the positions to show: a window round the pinned token, and the pinned query's strongest keys."""
        n_queries, n_keys = len(self.tokens["query"]), len(self.tokens["key"])
        same = self.tokens["query"] is self.tokens["key"]
        query, key = self.view.query, self.view.key
        queries = _window(n_queries, query if query is not None else key if same else None)
        if n_keys <= MOST_TOKENS:
            return queries, np.arange(n_keys)
        if self.pinned is None:
            return queries, _window(n_keys, key if key is not None else query if same else None)
        best = np.concatenate([strongest_keys(row, NAMED_KEYS) for row in self.pinned])[: MOST_TOKENS // 3]
        middle = key if key is not None else query if same else int(best[0]) if best.size else None
        held = np.unique(np.append(best, [] if key is None else [key]).astype(int))
        window = _window(n_keys, middle, MOST_TOKENS - len(held))
        return queries, np.union1d(window, held)

    def _y(self, row: float) -> float:
        return self.first + (row + 0.5) * self.pitch

    def _headings(self, y: float) -> None:
        faint = self.palette.faint
        self.figure.text(_QUERY_EDGE, y, "query (from)", size=11, fill=faint, anchor="end")
        self.figure.text(self.key_edge + 4, y, "key (to)", size=11, fill=faint)

    def _number_columns(self) -> list[float]:
        """Right edges of the columns of numbers, one per head while they fit."""
        if self.pinned is None or len(self.series) > 3:
            return []
        widest = max((text_width(shown(self.tokens["key"][int(key)]), self.size) for key in self.keys), default=0)
        last = min(WIDTH - 20, self.key_edge + 4 + widest * 1.08 + 70 + 56 * (len(self.series) - 1))
        return [last - 56 * (len(self.series) - 1 - i) for i in range(len(self.series))]

    def _paint_labels(self) -> None:
        edges = self._number_columns()
        named = [strongest_keys(row, NAMED_KEYS) for row in self.pinned or []]
        room = (edges[0] - 52 if edges else WIDTH - 20) - self.key_edge - 4
        strong = {
            int(key)
            for row in self.pinned or []
            for key in np.flatnonzero(strengths(row[None], self.series[0].measure, self.view.color_scale)[0] >= BOLD)
        }
        for row, position in enumerate(self.queries):
            self._label("query", row, int(position), position == self.view.query, _QUERY_EDGE - 20)
        for row, position in enumerate(self.keys):
            self._label("key", row, int(position), int(position) in strong or position == self.view.key, room)
            for head, right in enumerate(edges):
                if position in named[head]:
                    value = f"{self.pinned[head][position]:.3f}" if self.pinned else ""
                    self.figure.text(
                        right, self._y(row) + self.size * 0.36, value,
                        size=self.size - 1, fill=self.palette.ink, anchor="end", bold=position == named[head][0],
                    )  # fmt: skip
        for side, positions in (("query", self.queries), ("key", self.keys)):
            self._paint_gaps(side, positions)
        if edges and self.pinned is not None:
            for right, color in zip(edges, self.colors, strict=True):
                self.figure.rect(right - 10, self.first - 28, 10, 10, fill=color, radius=2)

    def _label(self, side: str, row: int, position: int, bold: bool, room: float) -> None:
        tokens, palette, y = self.tokens[side], self.palette, self._y(row)
        text = fitted(shown(tokens[position]), self.size, room)
        if position == (self.view.query if side == "query" else self.view.key):
            wide = text_width(text, self.size) * 1.08 + 14
            x = _QUERY_EDGE + 7 - wide if side == "query" else self.key_edge - 3
            self.figure.rect(
                x, y - self.pitch / 2 + 1, wide, self.pitch - 2, fill=palette.accent, opacity=0.16, radius=4
            )
        fill = palette.faint if tokens.special[position] and not bold else palette.ink
        x, anchor = (_QUERY_EDGE, "end") if side == "query" else (self.key_edge + 4, "start")
        self.figure.text(x, y + self.size * 0.36, text, size=self.size, fill=fill, anchor=anchor, bold=bold)

    def _paint_gaps(self, side: str, positions: np.ndarray) -> None:
        """Mark where positions are left out."""
        left, right = (_QUERY_EDGE - 60, _QUERY_EDGE) if side == "query" else (self.key_edge, self.key_edge + 60)
        rows = [int(i) + 1 for i in np.flatnonzero(np.diff(positions) > 1)]
        rows += [0] if len(positions) and positions[0] > 0 else []
        rows += [len(positions)] if len(positions) and positions[-1] < len(self.tokens[side]) - 1 else []
        marks = [
            (x, self._y(row - 0.5), x + 2.0, self._y(row - 0.5)) for row in rows for x in np.arange(left, right, 6.0)
        ]
        self.figure.lines(marks, color=self.palette.faint)

    def _paint_squares(self) -> None:
        for head, values in enumerate(self.pinned or []):
            strength = strengths(values[None], self.series[head].measure, self.view.color_scale)[0]
            for row, position in enumerate(self.keys):
                if np.isnan(strength[position]):
                    continue
                self.figure.rect(
                    self.squares + head * self.step, self._y(row) - self.square / 2, self.square, self.square,
                    fill=self.colors[head], opacity=0.05 + 0.75 * float(strength[position]), radius=3,
                )  # fmt: skip

    def _paint_lines(self) -> tuple[int, int]:
        """Draw the links, the weak below the strong; give how many are drawn, and how many there are."""
        found = []
        for head, one in enumerate(self.series):
            values = one.rows(self.queries)
            strength = strengths(values, one.measure, self.view.color_scale)[:, self.keys]
            level = values[:, self.keys] if one.measure == "weights" else strength
            drawn = (level >= self.view.threshold) & (level > 0)
            if self.pinned is not None:
                named = np.isin(self.keys, strongest_keys(self.pinned[head], NAMED_KEYS))
                drawn |= np.outer(self.queries == self.view.query, named)
            rows, columns = np.nonzero(drawn)
            held = (self.queries[rows] == self.view.query) | (self.keys[columns] == self.view.key)
            found.append(np.stack([held, strength[rows, columns], np.full(len(rows), head), rows, columns], axis=1))
        links = np.concatenate(found)
        order = np.lexsort((links[:, 1], links[:, 0]))[-self.view.most_links :]
        quiet = self.view.query is not None or self.view.key is not None
        for held, strength, head, row, column in links[order]:
            width, opacity = _look(float(strength), emphasis=2 if held else 0 if quiet else 1)
            self.figure.curve(
                (_FIRST_LINE, self._y(row)), (self.last_line, self._y(column)),
                color=self.colors[int(head)], width=width, opacity=opacity,
            )  # fmt: skip
        return len(order), len(links)

    def _note(self, drawn: int, links: int) -> str:
        parts = [_shown_note(self.tokens[side], positions, side, self) for side, positions in self._sides()]
        if self.series[0].measure == "weights":
            parts.append("line width: weight")
        else:
            parts.append(f"line width: {self.series[0].measure}, from least to most of its row")
        if drawn < links:
            parts.append(f"{drawn:,} of {links:,} links shown")
        elif self.view.threshold > 0:
            named = "" if self.pinned is None else f" and the pinned query's {NAMED_KEYS} strongest"
            parts.append(f"links from {self.view.threshold:.2f} up{named}")
        if not self.series[0].special_tokens:
            parts.append("special tokens hidden, the rest rescaled")
        return " · ".join(filter(None, parts))

    def _sides(self) -> list[tuple[str, np.ndarray]]:
        sides = [("query", self.queries), ("key", self.keys)]
        return sides[:1] if self.tokens["query"] is self.tokens["key"] else sides


def strongest_keys(row: np.ndarray, count: int) -> np.ndarray:
    """Give the positions of the largest numbers of a row, the largest first; masked keys and zeros never."""
    order = np.argsort(-np.where(np.isnan(row), -np.inf, row), kind="stable")[:count]
    return order[np.isfinite(row[order]) & (row[order] != 0)]


def _shown_note(tokens: Tokens, positions: np.ndarray, side: str, links: _Links) -> str:
    if len(positions) == len(tokens):
        return ""
    name = "tokens" if len(links._sides()) == 1 else f"{side} tokens"
    if positions[-1] == len(positions) - 1:
        return f"first {len(positions)} of {len(tokens):,} {name} shown"
    return f"{len(positions)} of {len(tokens):,} {name} shown"


def _window(n: int, middle: int | None, most: int = MOST_TOKENS) -> np.ndarray:
    start = 0 if middle is None else min(max(0, middle - most // 2), max(0, n - most))
    return np.arange(start, min(n, start + most))


def _row_of(n: int) -> tuple[float, float]:
    """Height of a row and size of its letters."""
    return (27, 13) if n <= 20 else (21, 12) if n <= 32 else (17, 11)


def _look(strength: float, emphasis: int) -> tuple[float, float]:
    """Width and opacity of a line, as on the page."""
    alpha, gain, width, swell = ((0.07, 0.3, 0.8, 1.2), (0.22, 0.35, 0.8, 3.6), (0.34, 0.54, 0.9, 5.4))[emphasis]
    return width + swell * strength, alpha + gain * min(1, strength * 1.3)
