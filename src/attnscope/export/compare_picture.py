"""Two captures side by side as a picture, and their difference in signed colours."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attnscope.export import frame
from attnscope.export.cells import hatch_sign, paint_grid
from attnscope.export.compared import PANES, Compared
from attnscope.export.frame import MARGIN, SCALED, WIDTH
from attnscope.export.headname import short_head_name
from attnscope.export.labels import clean, fitted, fixed, shown, spoken, text_width
from attnscope.export.measures import form_of, label_of
from attnscope.export.palette import colors_of, hexadecimal
from attnscope.export.strength import between, domain_of, ranks
from attnscope.export.windows import strongest

if TYPE_CHECKING:
    from attnscope.export.figure import Figure
    from attnscope.export.scene import Scene

MOST_CELLS, MOST_ROWS, MOST_RANKED = 72, 40, 40
_NAMES = 72


def compare_figure(scene: Scene, said: str) -> Figure:
    """Draw the head selected last in both captures.

    The page may say whether it shows the ``"matrices"`` or the ``"row"`` of what is pinned, as ``mode``, and whether
    the row has the largest difference first, ``by_size``.
    """
    found = Compared.of(scene)
    figure, y = frame.begin(scene, said, colored=False, series=scene.series[-1:])
    y = _paint_ranking(figure, y + 6, found)
    if found.refusal:
        figure.text(MARGIN, y + 14, fitted(found.refusal, 12, WIDTH - 2 * MARGIN), size=12, fill=scene.palette.ink)
        y += 24
    if scene.look.name("mode", ("matrices", "row")) == "row":
        y, note = _paint_row(figure, y, found)
    else:
        y, note = _paint_matrices(figure, y, found)
    gone, added = (int((found.queries.second < 0).sum()), int((found.queries.first < 0).sum()))
    if gone + added:
        note.insert(0, f"tokens only in A: {gone}, only in B: {added}, left blank")
    return frame.end(figure, y, note, scene.palette)


def say_compare(scene: Scene) -> str:
    """Say how the head changed: for what is pinned, or anywhere."""
    found = Compared.of(scene)
    begin = f"{scene.of_head} in two captures."
    if found.refusal:
        return f"{begin} {found.refusal}"
    ranked = found.ranked(1)
    most = f" Most changed: layer {ranked[0][0]}, head {ranked[0][1]} ({ranked[0][2]:.3f})." if ranked else ""
    pinned = _pinned(scene)
    if pinned is None:
        return begin + most
    side, units = pinned
    lines, name = found.lines(side, units), scene.said(side, units)
    along = found.keys if side == "query" else found.queries
    verb = "attends" if side == "query" else "is attended to"
    parts = []
    for which, row in zip(("first", "second"), lines, strict=False):
        best = strongest(row, 1)
        if best.size:
            to = "to" if side == "query" else "by"
            parts.append(f"in the {which} most {to} {spoken(along.axis.text[int(best[0])])} ({row[best[0]]:.3f})")
    return f"{begin} {name} {verb} {', '.join(parts) or 'to nothing'}.{most}"


def _pinned(scene: Scene) -> tuple[str, list[int]] | None:
    for side in ("query", "key"):
        if scene.pinned[side]:
            return side, scene.pinned[side]
    return None


def _paint_ranking(figure: Figure, y: float, found: Compared) -> float:
    palette, x = found.scene.palette, MARGIN + text_width("most changed", 11) + 10
    ranked = found.ranked(MOST_RANKED)
    if not ranked:
        return y
    figure.text(MARGIN, y + 13, "most changed", size=11, fill=palette.faint)
    for layer, head, change in ranked:
        name, number = short_head_name(found.scene.attention, (layer, head)), fixed(change)
        wide = text_width(name, 11) + text_width(number, 11) + 17
        if x + wide > WIDTH - MARGIN:
            break
        chosen = (layer, head) in found.first.heads
        edge = palette.accent if chosen else palette.line
        figure.rect(x, y, wide, 19, stroke=edge, thick=1.5 if chosen else 1, radius=4)
        figure.text(x + 6, y + 13, name, size=11, fill=palette.ink)
        figure.text(x + wide - 6, y + 13, number, size=11, fill=palette.faint, anchor="end")
        x += wide + 5
    return y + 25


def _paint_matrices(figure: Figure, y: float, found: Compared) -> tuple[float, list[str]]:
    scene, palette = found.scene, found.scene.palette
    panes = found.grids(MOST_CELLS)
    look, form = scene.look, form_of(scene.look.measure)
    both = domain_of(np.concatenate([panes[name][0].values.ravel() for name in ("a", "b")]), look.measure)
    reach = max(float(np.nanmax(np.abs(panes["change"][0].values), initial=0)), 1e-9)
    ramp = colors_of(palette, signed=form == "signed")
    room = (WIDTH - 2 * MARGIN - _NAMES - 24) / 3
    pinned = (
        [found.queries.place_of(unit) for unit in scene.pinned["query"][:1]],
        [found.keys.place_of(unit) for unit in scene.pinned["key"][:1]],
    )
    names = [clean(capture.model_name) if capture else "" for capture in (scene.capture, scene.other)]
    models = dict(zip(PANES, names if names[0] != names[1] else ["", ""], strict=False))
    x, bottom, masked = float(MARGIN), y, False
    for at, (name, (grid, blank)) in enumerate(panes.items()):
        left = _NAMES if at == 0 else 0
        title = " · ".join(filter(None, [PANES[name], models.get(name, "")]))
        figure.text(x + left, y + 13, fitted(title, 12, room), size=12, fill=palette.ink, bold=True)
        if name == "change":
            shades, colors = between(grid.values, -reach, reach, "linear"), palette.diverging
        else:
            scale = look.color_scale if form == "share" else "linear"
            values = grid.values
            shades = ranks(values, values) if scale == "rank" else between(values, *both, scale)
            colors = ramp
        box = paint_grid(
            figure, (x, y + 18), room + left, grid, shades, colors, pinned, palette,
            names=at == 0, tallest=420, blank=blank, left=float(left),
        )  # fmt: skip
        masked = masked or bool((np.isnan(grid.values) & ~blank).any())
        bottom = max(bottom, box[1] + box[3])
        x += room + left + 12
    what = label_of(look.measure) + ("" if form != "share" else SCALED[look.color_scale])
    end = frame.add_scale(figure, MARGIN, bottom + 14, ramp, both, what, palette, wide=110)
    if not found.refusal:
        ends = -reach, reach
        end = frame.add_scale(figure, end + 24, bottom + 14, palette.diverging, ends, "B − A", palette, wide=110)
    if masked and end < 560:
        hatch_sign(figure, end + 20, bottom + 14, palette, hidden=not look.special_tokens)
    grid = panes["a"][0]
    several = "" if grid.is_exact else "cells: largest of {} × {} tokens · labels: positions".format(*grid.spans)
    return bottom + 26, ["rows: queries (from), columns: keys (to)", several]


def _paint_row(figure: Figure, y: float, found: Compared) -> tuple[float, list[str]]:
    scene, palette, pinned = found.scene, found.scene.palette, _pinned(found.scene)
    if pinned is None:
        figure.text(MARGIN, y + 14, "No token is pinned.", size=12, fill=palette.faint)
        return y + 20, []
    side, units = pinned
    across, along = (found.queries, found.keys) if side == "query" else (found.keys, found.queries)
    verb = "attends to" if side == "query" else "is attended by"
    lone = "" if across.beside(units) else " · the second text has no such token"
    title = f"{scene.said(side, units)} {verb} · {found.first.short}{lone}"
    figure.text(MARGIN, y + 14, fitted(title, 13, WIDTH - 2 * MARGIN), size=13, fill=palette.ink)
    lines = found.lines(side, units)
    order, count = np.arange(lines.shape[1]), lines.shape[1]
    if scene.look.flag("by_size", default=True) or count > MOST_ROWS:
        size = np.abs(lines)
        key = np.where(np.nan_to_num(size[2]) > 0, size[2], np.where(np.nan_to_num(size[0]) > 0, size[0], size[1]))
        order = np.argsort(-np.nan_to_num(key), kind="stable")[:MOST_ROWS]
        if not scene.look.flag("by_size", default=True):
            order = np.sort(order)
    most = max(float(np.nanmax(np.abs(lines), initial=0)), 1e-12)
    room = (WIDTH - 2 * MARGIN - 150) / 3
    y += 24
    for place, name in enumerate(PANES.values()):
        figure.text(MARGIN + 150 + place * room, y + 12, name, size=11, fill=palette.faint)
    y += 18
    for at in order.tolist():
        name = fitted(shown(along.axis.text[at]), 12, 140)
        figure.text(MARGIN, y + 13, name, size=12, fill=palette.faint if along.axis.special[at] else palette.ink)
        for place in range(3):
            _paint_number(figure, (MARGIN + 150 + place * room, y, room), float(lines[place, at]), most, place, found)
        y += 21
    return y, [f"{len(order)} of {count:,} tokens shown" if len(order) < count else ""]


def _paint_number(
    figure: Figure, box: tuple[float, float, float], value: float, most: float, place: int, found: Compared
) -> None:
    x, y, room = box
    palette = found.scene.palette
    text = "–" if np.isnan(value) else ("+" if place == 2 and value > 0 else "") + fixed(value)
    figure.text(x + room - 12, y + 13, text, size=11, fill=palette.ink, anchor="end")
    if np.isnan(value):
        return
    fill = palette.faint if place < 2 else hexadecimal(palette.diverging[1 if value < 0 else -2])
    figure.rect(x, y + 5, (room - 70) * abs(value) / most, 9, fill=fill, radius=2)
