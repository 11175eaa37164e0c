"""A text as a picture: coloured by what the pinned token attends to, or who attends to it, with sums of passages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attnscope.export import frame
from attnscope.export.frame import MARGIN, SCALED, WIDTH
from attnscope.export.labels import is_bundled, text_width
from attnscope.export.links_picture import removed_note
from attnscope.export.measures import form_of, label_of
from attnscope.export.strength import one_of
from attnscope.export.text_flow import PENDING, flow_of
from attnscope.export.text_lines import Line, lay_out, sections_of
from attnscope.export.text_passages import Passage, chosen, groupings_of
from attnscope.export.text_shade import Shade
from attnscope.export.text_sums import SUMS, Sums, paint_head, paint_sums
from attnscope.wire.protocol import GROUPINGS

if TYPE_CHECKING:
    from attnscope.export.figure import Figure
    from attnscope.export.scene import Scene

MOST_LINES = 48
_SIZE, _LEADING = 14.0, 22
_SLACK = 0.98


def text_figure(scene: Scene, said: str) -> Figure:
    """Draw the text, or the two texts beside each other.

    The page may say its ``direction``, ``"query"`` or ``"key"``, which passages are ``folded``, and whether sums stand
    the largest first, ``by_size``.
    """
    return _Text(scene, said).figure


class _Text:
    def __init__(self, scene: Scene, said: str) -> None:
        one_of("group_by", scene.look.group_by, GROUPINGS)
        self.scene, self.palette = scene, scene.palette
        self.side = self._direction()
        other = "key" if self.side == "query" else "query"
        self.colored = "query" if scene.is_one_text else other
        pins = scene.pinned[self.side]
        self.shade = Shade(scene, [one.together(self.side, pins) for one in scene.series]) if pins else None
        self.name, self.passages = self._grouping()
        self.folded = {int(at) for at in scene.look.choices.get("folded", ())}
        summed = bool(self.passages) and form_of(scene.look.measure) != "score"
        self.sums = Sums.of(scene, self.shade, self.passages, self.colored) if summed else None
        self.figure, top = frame.begin(scene, said, colored=len(scene.series) > 1)
        left = MARGIN + (SUMS + 16 if self.sums else 0)
        bottom, cut = self._paint_panes(left, top + 6)
        note = []
        if self.sums:
            by_size = scene.look.flag("by_size", default=False)
            below, left_out = paint_sums(
                self.figure, top + 6, self.sums, scene, max(bottom - top, 300), by_size=by_size
            )
            self.figure.lines([(left - 8, top + 6, left - 8, max(bottom, below))], color=self.palette.line)
            bottom = max(bottom, below)
            note.append(left_out)
        bottom = self._paint_scale(bottom + 10)
        frame.end(self.figure, bottom, [*cut, *note, *self._note()], self.palette)

    def _direction(self) -> str:
        """Give the side of the token in question: what is pinned on one side only decides by itself."""
        query, key = (bool(self.scene.pinned[side]) for side in ("query", "key"))
        wish = self.scene.look.name("direction", ("query", "key"))
        return wish if query == key else "query" if query else "key"

    def _grouping(self) -> tuple[str, list[Passage]]:
        axis, look = self.scene.axis(self.colored), self.scene.look
        spans = [span for span in look.spans if self.scene.is_one_text or span.get("side", "key") == self.colored]
        return chosen(groupings_of(axis, flow_of(axis), spans), look.group_by)

    def _paint_panes(self, left: float, top: float) -> tuple[float, list[str]]:
        sides = ["query"] if self.scene.is_one_text else ["query", "key"]
        room = (WIDTH - MARGIN - left - 16 * (len(sides) - 1)) / len(sides)
        bottom, notes = top, []
        for at, side in enumerate(sides):
            x, y = left + at * (room + 16), top
            if len(sides) > 1:
                title = "query (from)" if side == "query" else "key (to)"
                self.figure.text(x, y + 10, title, size=11, fill=self.palette.faint)
                y += 18
            end, cut = self._paint_pane(side, x, y, room)
            bottom = max(bottom, end)
            if cut:
                notes.append(cut if len(sides) == 1 else f"{side}: {cut}")
        return bottom, notes

    def _paint_pane(self, side: str, x: float, y: float, room: float) -> tuple[float, str]:
        axis = self.scene.axis(side)
        mine = side == self.colored
        sections = sections_of(self.passages, self.folded, heads=self.name != "sentence") if mine else []
        lines = lay_out(flow_of(axis), sections, room * _SLACK, _SIZE)
        start = self._first_line(lines, side)
        shown = lines[start : start + MOST_LINES]
        pitch = _LEADING + (self.shade.foot if self.shade else 4)
        for line in shown:
            if line.head is not None:
                paint_head(
                    self.figure, (x, y, room, pitch), line.head, self.passages, self.sums, self.folded, self.scene
                )
            else:
                self._paint_line(line, side, x, y, room)
            y += pitch
        cut = f"lines {start + 1}–{start + len(shown)} of {len(lines)} shown" if len(shown) < len(lines) else ""
        return y, cut

    def _first_line(self, lines: list[Line], side: str) -> int:
        """Bring the pinned token into sight, a third of the way down."""
        pins = self.scene.pinned[self.side if self.scene.is_one_text else side]
        if len(lines) <= MOST_LINES or not pins:
            return 0
        at = next((at for at, line in enumerate(lines) if any(p.piece.unit == pins[0] for p in line.placed)), 0)
        return min(max(0, at - MOST_LINES // 3), len(lines) - MOST_LINES)

    def _paint_line(self, line: Line, side: str, x: float, y: float, room: float) -> None:
        spaces = self.scene.look.visible_spaces
        at = 0.0
        for placed in line.placed:
            lead = text_width(placed.lead, _SIZE)
            if placed.lead and spaces:
                dots = "·" * len(placed.lead)
                left = x + room - at - lead if line.rtl else x + at
                self.figure.text(left, y + 15, dots, size=_SIZE, fill=self.palette.faint, width=lead)
            at += lead
            wide = text_width(placed.text, _SIZE)
            left = x + room - at - wide if line.rtl else x + at
            self._paint_word(placed.piece.unit, placed.text, side, (left, y, wide), sign=placed.piece.sign)
            at += wide

    def _paint_word(self, unit: int, text: str, side: str, place: tuple[float, float, float], *, sign: bool) -> None:
        x, y, wide = place
        axis, palette = self.scene.axis(side), self.palette
        height = _LEADING - 2 + (self.shade.foot if self.shade else 4) - 2
        ink = ""
        fill = palette.faint if sign or axis.special[unit] else palette.ink
        if self.shade and side == self.colored:
            ink = self.shade.paint(self.figure, unit, (x, y, wide, height))
            if self.shade.is_masked(unit):
                fill = palette.faint
        if not (sign and text != PENDING and not self.scene.look.visible_spaces):
            self.figure.text(x, y + 15, text, size=_SIZE, fill=ink or fill, width=wide if is_bundled(text) else 0)
        same = self.scene.is_one_text
        mine, theirs = self.side if same else side, ("key" if self.side == "query" else "query") if same else ""
        if unit in self.scene.pinned[mine]:
            self.figure.rect(x - 1, y - 1, wide + 2, height + 2, stroke=palette.accent, thick=2, radius=3)
        elif theirs and unit in self.scene.pinned[theirs]:
            self.figure.rect(x - 1, y - 1, wide + 2, height + 2, stroke=palette.ink, radius=3)

    def _paint_scale(self, y: float) -> float:
        if not self.shade or len(self.shade.rows) > 1:
            return y - 10
        look = self.scene.look
        what = label_of(look.measure) + SCALED[look.color_scale]
        frame.add_scale(self.figure, MARGIN, y, self.shade.ramp, self.shade.domain, what, self.palette)
        return y + 12

    def _note(self) -> list[str]:
        look, note = self.scene.look, []
        if not self.shade:
            return ["no token is pinned"]
        asked = self.scene.said(self.side, self.scene.pinned[self.side])
        note.append(f"what {asked} attends to" if self.side == "query" else f"who attends to {asked}")
        if len(self.shade.rows) > 1:
            least, most = self.shade.domain
            note.append(f"lines: {label_of(look.measure)} from {least:.2f} to {most:.2f}, strongest thickest")
        if self.shade.signed:
            note.append("dashed where negative")
        if form_of(look.measure) == "score" and self.passages:
            note.append("scores do not add up, so passages have no sums")
        return [*note, removed_note(self.scene)]
