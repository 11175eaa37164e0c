"""A token strip as a picture: tokens coloured by surprisal, what could have stood at the pinned one, the surprises."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from attnscope.attention.gaps import gaps_of
from attnscope.export import frame
from attnscope.export.axis import Axis
from attnscope.export.figure import Figure
from attnscope.export.frame import MARGIN, WIDTH
from attnscope.export.labels import clean, fitted, fixed, is_bundled, shown, spoken, text_width
from attnscope.export.palette import hexadecimal, ink_on, palette_of, ramp_at
from attnscope.export.text_flow import flow_of
from attnscope.export.text_lines import lay_out

if TYPE_CHECKING:
    from collections.abc import Sequence

    from attnscope.attention.logprobs import TokenLogprobs
    from attnscope.export.text_flow import Piece
    from attnscope.export.text_lines import Line, Placed

MOST_LINES = 40
MOST_SURPRISING = 5
MOST_ALTERNATIVES = 10
_SIZE, _PITCH, _BAND = 14.0, 26, 3.0
_FAINTEST = 0.02
_COLUMN, _NAME, _BAR = 360, 100, 120


@dataclass(frozen=True, eq=False)
class LogprobsDrawing:
    """A strip drawn once.

    Parameters
    ----------
    texts
        All texts, which share one scale.
    choice
        The one that is drawn.
    token
        The pinned token, or None.
    theme
        ``"light"`` or ``"dark"``.
    """

    texts: Sequence[TokenLogprobs]
    choice: int = 0
    token: int | None = None
    theme: str = "light"

    @property
    def text(self) -> TokenLogprobs:
        """What is drawn."""
        return self.texts[self.choice]

    @cached_property
    def words(self) -> str:
        """What it shows, in a sentence."""
        text = self.text
        name = f"{clean(text.model_name)}: " if text.model_name else ""
        most = [f"{spoken(text.tokens[at])} ({bits(text.surprisal[at])})" for at in text.most_surprising(3)]
        surprising = f" Most surprising: {', '.join(most)}." if most else ""
        return f"{name}{len(text)} tokens coloured by surprisal, {text.summary}.{surprising}"

    @cached_property
    def svg(self) -> str:
        """The vectors."""
        return self._figure().svg()

    def _figure(self) -> Figure:
        palette, text = palette_of(self.theme), self.text
        figure = Figure(WIDTH, 0, palette.ground, self.words)
        name = fitted(clean(text.model_name) or "Log-probabilities", 14, 380)
        figure.text(MARGIN, 30, name, size=14, fill=palette.ink, bold=True)
        more = f", text {self.choice + 1} of {len(self.texts)}" if len(self.texts) > 1 else ""
        about = f"{len(text)} tokens, {text.summary}{more}"
        figure.text(MARGIN + text_width(name, 14) * 1.16 + 14, 30, about, size=12, fill=palette.faint)
        bottom, cut = self._paint_lines(figure, 44)
        end = frame.add_scale(figure, MARGIN, bottom + 8, palette.ramp, (0.0, self._most), "bits of surprisal", palette)
        figure.text(end + 14, bottom + 17, "the line under a token says the same", size=11, fill=palette.faint)
        top = bottom + 42
        bottom, right = self._paint_surprises(figure, MARGIN if self.token is None else MARGIN + _COLUMN, top), top
        if self.token is not None:
            right = self._paint_alternatives(figure, top)
        return frame.end(figure, max(bottom, right), [cut], palette)

    @cached_property
    def _most(self) -> float:
        every = np.concatenate([text.surprisal for text in self.texts])
        return max([1.0, *every[np.isfinite(every)].tolist()])

    def _paint_lines(self, figure: Figure, top: float) -> tuple[float, str]:
        pieces = _boxed(flow_of(Axis.of(self.text.tokens)), gaps_of(self.text.tokens))
        lines = lay_out(pieces, [], (WIDTH - 2 * MARGIN) * 0.96, _SIZE)
        pinned = next(
            (at for at, line in enumerate(lines) if any(each.piece.unit == self.token for each in line.placed)), 0
        )
        start = min(max(0, pinned - MOST_LINES // 3), max(0, len(lines) - MOST_LINES))
        seen = lines[start : start + MOST_LINES]
        for at, line in enumerate(seen):
            self._paint_line(figure, line, top + at * _PITCH)
        cut = f"lines {start + 1}–{start + len(seen)} of {len(lines)} shown" if len(seen) < len(lines) else ""
        return top + len(seen) * _PITCH, cut

    def _paint_line(self, figure: Figure, line: Line, y: float) -> None:
        at = 0.0
        for placed in line.placed:
            at += text_width(placed.lead, _SIZE)
            wide = text_width(placed.text, _SIZE)
            left = WIDTH - MARGIN - at - wide if line.rtl else MARGIN + at
            self._paint_token(figure, placed, left, y, wide)
            at += wide

    def _paint_token(self, figure: Figure, placed: Placed, x: float, y: float, wide: float) -> None:
        palette, unit = palette_of(self.theme), placed.piece.unit
        surprisal = float(self.text.surprisal[unit])
        ink = palette.faint if placed.piece.special else palette.ink
        if math.isnan(surprisal):
            figure.rect(x + 1, y + 0.5, wide - 2, _PITCH - 5, stroke=palette.hatch, thick=1)
        else:
            strength = min(1.0, surprisal / self._most)
            color = ramp_at(palette.ramp, strength)
            ink = ink_on(color)
            figure.rect(x + 0.6, y, wide - 1.2, _PITCH - 4, fill=hexadecimal(color), radius=2)
            if strength > _FAINTEST:
                band = _BAND * strength
                figure.rect(x + 0.6, y + _PITCH - 4 - band, wide - 1.2, band, fill=ink)
        figure.text(x, y + 15, placed.text, size=_SIZE, fill=ink, width=wide if is_bundled(placed.text) else 0)
        if unit == self.token:
            figure.rect(x - 1, y - 1, wide + 2, _PITCH - 2, stroke=palette.accent, thick=2, radius=3)

    def _paint_alternatives(self, figure: Figure, top: float) -> float:
        text, at = self.text, self.token
        assert at is not None
        said = "nothing before it"
        if not math.isnan(text.logprobs[at]):
            said = f"{bits(text.surprisal[at], 3)}, rank {rank_of(text, at)}"
        mine = text.tokens[at], text.logprobs[at]
        listed: list[tuple[str, float]] = list(text.alternatives[at][:MOST_ALTERNATIVES])
        if listed and mine not in listed:
            listed.append(mine)
        rows = [_Row(each[0], math.exp(each[1]), percent(math.exp(each[1])), each == mine) for each in listed]
        return self._paint_rows(figure, MARGIN, top, f"{spoken(text.tokens[at], 16)}, token {at}: {said}", rows)

    def _paint_surprises(self, figure: Figure, left: float, top: float) -> float:
        text, rows = self.text, []
        for at in text.most_surprising(MOST_SURPRISING):
            surprisal = float(text.surprisal[at])
            rows.append(_Row(text.tokens[at], surprisal / self._most, bits(surprisal) if surprisal < math.inf else "–"))
        return self._paint_rows(figure, left, top, "Most surprising", rows) if rows else top

    def _paint_rows(self, figure: Figure, x: float, y: float, title: str, rows: Sequence[_Row]) -> float:
        palette = palette_of(self.theme)
        figure.text(x, y, fitted(title, 12, (_COLUMN - 14) / 1.16), size=12, fill=palette.ink, bold=True)
        for row in rows:
            y += 18
            figure.text(x, y + 2, fitted(shown(row.token), 12, _NAME - 8), size=12, fill=palette.ink, bold=row.mine)
            wide = max(1.0, _BAR * min(1.0, row.share))
            figure.rect(x + _NAME, y - 7, wide, 9, fill=hexadecimal(ramp_at(palette.ramp, 0.7)))
            number = f"{row.number}{', this token' if row.mine else ''}"
            figure.text(x + _NAME + _BAR + 8, y + 2, number, size=12, fill=palette.faint)
        return y + 4


@dataclass(frozen=True)
class _Row:
    token: str
    share: float
    number: str
    mine: bool = False


def _boxed(flow: Sequence[Piece], gaps: np.ndarray) -> list[Piece]:
    """Make a token's own spaces part of its box; one that no token carries stays between them."""
    found, last = [], -1
    for piece in flow:
        apart = " " if piece.unit != last and gaps[piece.unit] == 1 else ""
        own, last = len(piece.lead) - len(apart), piece.unit
        found.append(replace(piece, text="·" * own + piece.text, lead=apart, open=own > 0))
    return found


def bits(surprisal: float, digits: int = 2) -> str:
    """Say a surprisal, as the page does."""
    return "probability 0 or not told" if math.isinf(surprisal) else f"{fixed(surprisal, digits)} bits"


def percent(probability: float) -> str:
    """Say a probability in hundredths, as the page does."""
    if probability == 0:
        return "–"
    if probability < 0.0001:
        mantissa, power = f"{100 * probability:.1e}".split("e")
        return f"{mantissa}e{int(power)} %"
    return f"{100 * probability:.{2 if probability < 0.1 else 1}f} %"


def rank_of(text: TokenLogprobs, at: int) -> str:
    """Say a token's rank among all the model could have said, as the page does."""
    rank, listed = int(text.ranks[at]), text.alternatives[at]
    if rank > 0:
        return str(rank)
    if not listed or any(each.token == text.tokens[at] for each in listed):
        return "not known"
    return f"beyond the {len(listed)} listed"
