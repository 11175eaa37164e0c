"""Links as a picture: two columns of tokens and lines between them, as strong as the numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attnscope.export import frame
from attnscope.export.frame import WIDTH
from attnscope.export.labels import fitted, fixed, shown, text_width
from attnscope.export.link_lines import found_lines, looks
from attnscope.export.measures import form_of, noun_of
from attnscope.export.palette import series_color
from attnscope.export.strength import row_strengths
from attnscope.export.windows import around_with, counted, gaps_of, strongest

if TYPE_CHECKING:
    from attnscope.export.figure import Figure
    from attnscope.export.scene import Scene

MOST_TOKENS = 48
BOLD = 0.25
NAMED_KEYS = 4
"""Keys of the pinned query whose numbers are written out, per head."""

_QUERY_EDGE, _FIRST_LINE = 210, 220
_REACH = {"share": "", "score": ", from least to most of its row", "signed": ", dashed where negative"}
_SCALES = {"linear": "", "log": ", logarithmic", "rank": ", by rank in the row"}


def links_figure(scene: Scene, said: str) -> Figure:
    """Draw the links of the selected heads; the page may say which ``queries`` and ``keys`` are in its window."""
    return _Links(scene, said).figure


class _Links:
    def __init__(self, scene: Scene, said: str) -> None:
        self.scene, self.palette, self.look = scene, scene.palette, scene.look
        series = scene.series
        self.colors = [series_color(self.palette, i, len(series)) for i in range(len(series))]
        self.pins = scene.pinned["query"], scene.pinned["key"]
        self.rows = [one.together("query", self.pins[0]) for one in series] if self.pins[0] else []
        self.units = self._chosen("query"), self._chosen("key")
        tallest = max(map(len, self.units))
        self.pitch, self.size = (27.0, 13.0) if tallest <= 20 else (21.0, 12.0) if tallest <= 32 else (17.0, 11.0)
        self.figure, top = frame.begin(scene, said)
        self.first = top + 34
        self.square = min(18.0, self.pitch - 3, 108 / len(series))
        self.step = self.square + 2
        self.last_line = 420 if self.rows else 500
        self.squares = self.last_line + 5
        self.key_edge = self.squares + (self.step * len(series) if self.rows else 0) + 5
        self.figure.text(_QUERY_EDGE, top + 16, "query (from)", size=11, fill=self.palette.faint, anchor="end")
        self.figure.text(self.key_edge + 4, top + 16, "key (to)", size=11, fill=self.palette.faint)
        self._paint_labels()
        self._paint_squares()
        note = self._note(*self._paint_lines())
        frame.end(self.figure, self.first + tallest * self.pitch, note, self.palette)

    def _chosen(self, side: str) -> np.ndarray:
        """Choose the places to show: a window round what is pinned, and what that is most tied to."""
        scene, n = self.scene, len(self.scene.axis(side))
        name = "queries" if side == "query" else "keys"
        if name in self.look.choices:
            held = scene.pinned[side]
            return np.union1d(np.arange(*self.look.span(name, n)), np.array(held, int))
        if n <= MOST_TOKENS:
            return np.arange(n)
        pins = self.pins if side == "query" else self.pins[::-1]
        held = list(pins[0])
        middle = held[0] if held else pins[1][0] if pins[1] and scene.is_one_text else None
        if side == "key" and self.rows:
            best = np.concatenate([strongest(row, NAMED_KEYS) for row in self.rows])[: MOST_TOKENS // 3]
            held += best.tolist()
            middle = int(best[0]) if middle is None and best.size else middle
        if side == "query" and self.pins[1] and not self.pins[0]:
            best = strongest(scene.series[-1].together("key", self.pins[1]), NAMED_KEYS)
            held += best.tolist()
        kept = np.unique(held[:MOST_TOKENS]).astype(int)
        return around_with(n, middle, MOST_TOKENS, kept)

    def _y(self, row: float) -> float:
        return self.first + (row + 0.5) * self.pitch

    def _number_columns(self) -> list[float]:
        """Right edges of the columns of numbers, one per head while they fit."""
        count = len(self.scene.series)
        if not self.rows or count > 3:
            return []
        texts = (shown(self.scene.keys.text[key]) for key in self.units[1])
        widest = max((text_width(text, self.size) for text in texts), default=0)
        last = min(WIDTH - 20, self.key_edge + 4 + widest * 1.08 + 70 + 56 * (count - 1))
        return [last - 56 * (count - 1 - i) for i in range(count)]

    def _bold(self) -> tuple[set[int], set[int]]:
        """Places tied strongly to what is pinned."""
        bold: tuple[set[int], set[int]] = set(self.pins[0]), set(self.pins[1])
        for one in self.scene.series:
            if self.pins[0]:
                strength = row_strengths(one.rows(np.array(self.pins[0])), self.look.measure, self.look.color_scale)
                bold[1].update(np.flatnonzero((strength >= BOLD).any(axis=0)).tolist())
            elif self.pins[1]:
                values = row_strengths(one.rows(self.units[0]), self.look.measure, self.look.color_scale)
                bold[0].update(self.units[0][(values[:, self.pins[1]] >= BOLD).any(axis=1)].tolist())
        return bold

    def _paint_labels(self) -> None:
        edges, bold = self._number_columns(), self._bold()
        named = [strongest(row, NAMED_KEYS) for row in self.rows]
        room = (edges[0] - 52 if edges else WIDTH - 20) - self.key_edge - 4
        for side, (units, width) in enumerate(zip(self.units, (_QUERY_EDGE - 20, room), strict=True)):
            for row, unit in enumerate(units.tolist()):
                self._label(side, row, unit, bold=unit in bold[side], room=width)
        for head, right in enumerate(edges):
            for row, unit in enumerate(self.units[1].tolist()):
                if unit in named[head]:
                    self.figure.text(
                        right, self._y(row) + self.size * 0.36, fixed(float(self.rows[head][unit])),
                        size=self.size - 1, fill=self.palette.ink, anchor="end", bold=unit == named[head][0],
                    )  # fmt: skip
            self.figure.rect(right - 10, self.first - 28, 10, 10, fill=self.colors[head], radius=2)
        for left, right, side in ((_QUERY_EDGE - 60, _QUERY_EDGE, 0), (self.key_edge, self.key_edge + 60, 1)):
            n = len(self.scene.axis(("query", "key")[side]))
            marks = [
                (x, self._y(row - 0.5), x + 2.0, self._y(row - 0.5))
                for row in gaps_of(self.units[side], n)
                for x in np.arange(left, right, 6.0)
            ]
            self.figure.lines(marks, color=self.palette.faint)

    def _label(self, side: int, row: int, unit: int, *, bold: bool, room: float) -> None:
        axis, palette, y = self.scene.axis(("query", "key")[side]), self.palette, self._y(row)
        text = fitted(shown(axis.text[unit]), self.size, room)
        if unit in self.pins[side]:
            wide = text_width(text, self.size) * 1.08 + 14
            x = _QUERY_EDGE + 7 - wide if side == 0 else self.key_edge - 3
            self.figure.rect(
                x, y - self.pitch / 2 + 1, wide, self.pitch - 2, fill=palette.accent, opacity=0.16, radius=4
            )
        gone = side == 1 and not self.look.special_tokens
        fill = palette.faint if axis.special[unit] and (gone or not bold) else palette.ink
        x, anchor = (_QUERY_EDGE, "end") if side == 0 else (self.key_edge + 4, "start")
        self.figure.text(x, y + self.size * 0.36, text, size=self.size, fill=fill, anchor=anchor, bold=bold)

    def _paint_squares(self) -> None:
        signed = form_of(self.look.measure) == "signed"
        for head, values in enumerate(self.rows):
            strength = row_strengths(values[None], self.look.measure, self.look.color_scale)[0]
            x, color = self.squares + head * self.step, self.colors[head]
            for row, unit in enumerate(self.units[1].tolist()):
                if np.isnan(strength[unit]):
                    continue
                hollow = signed and values[unit] < 0
                look = {"stroke": color, "thick": 0.5 + 1.5 * strength[unit]} if hollow else {"fill": color}
                self.figure.rect(
                    x, self._y(row) - self.square / 2, self.square, self.square, radius=3,
                    opacity=1 if hollow else 0.03 + 0.77 * float(strength[unit]), **look,
                )  # fmt: skip

    def _paint_lines(self) -> tuple[int, int]:
        """Draw the links, the weak below the strong; give how many are drawn, and how many there are."""
        lines, count = found_lines(self.scene, *self.units)
        quiet = any(self.pins)
        for (series, width, opacity, dashed), links in looks(lines, quiet=quiet):
            self.figure.curves(
                [(_FIRST_LINE, self._y(row), self.last_line, self._y(column)) for row, column in links],
                color=self.colors[series], width=width, opacity=opacity, dashed=dashed,
            )  # fmt: skip
        return len(lines), count

    def _note(self, drawn: int, count: int) -> list[str]:
        scene, form = self.scene, form_of(self.look.measure)
        sides = [("query", self.units[0]), ("key", self.units[1])]
        note = [counted(scene, side, units) for side, units in (sides[:1] if scene.is_one_text else sides)]
        note.append(f"line width: {noun_of(self.look.measure)}{_REACH[form]}{_SCALES[self.look.color_scale]}")
        if drawn < count:
            note.append(f"{drawn:,} of {count:,} links shown")
        elif not count:
            note.append("no link reaches the threshold")
        elif self.look.threshold > 0:
            note.append(f"{count:,} links from {self.look.threshold:.2f} up")
        if self.rows and len(self.scene.series) <= 3:
            of = " (mean of these)" if len(self.pins[0]) > 1 else ""
            note.append(f"numbers: the pinned query's {NAMED_KEYS} largest{of}")
        return [*note, removed_note(scene)]


def removed_note(scene: Scene) -> str:
    """Say what was taken away with the special tokens."""
    if scene.look.special_tokens:
        return ""
    if form_of(scene.look.measure) != "share":
        return "special tokens hidden"
    if not scene.pinned["query"]:
        return "special tokens hidden, the rest rescaled"
    shares = " and ".join(fixed(one.removed(scene.pinned["query"][0]), 2) for one in scene.series)
    return f"special tokens hidden: {shares} of the pinned query's row removed, the rest rescaled"
