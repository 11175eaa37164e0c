"""One row of weights as a picture: the arithmetic from dot products to the output, column by column."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from attnscope.analysis.steps import Steps
from attnscope.analysis.steps import steps as walk
from attnscope.attention.layers import QueriesKeys
from attnscope.export import frame
from attnscope.export.cells import hatch
from attnscope.export.frame import MARGIN, WIDTH
from attnscope.export.headname import head_name
from attnscope.export.labels import fitted, fixed, percent, shown, spoken, text_width
from attnscope.export.palette import series_color
from attnscope.export.steps_strips import paint_strips, written

if TYPE_CHECKING:
    from attnscope.export.figure import Figure
    from attnscope.export.scene import Scene

ALL_ROWS, MOST_ROWS = 60, 40
"""Keys up to which all have a row; of more, the strongest have one."""
SINK = "learned sink"
_PITCH = 21


@dataclass(frozen=True, eq=False)
class Column:
    """One step: a number per key and, where there is a learned sink, behind them its own."""

    name: str
    values: np.ndarray
    is_weight: bool = False


def steps_figure(scene: Scene, said: str) -> Figure:
    """Draw the row of the pinned query in the head selected last.

    The page may say the ``temperature``, whether scores are ``scaled``, and whether rows are in the order of
    ``"position"`` or ``"weight"``, as ``sort``.
    """
    own, now = walks(scene)
    palette = scene.palette
    figure, y = frame.begin(scene, said, series=())
    for line in _wrapped(_sentence(now), 14):
        figure.text(MARGIN, y + 16, line, size=14, fill=palette.ink)
        y += 19
    y = _paint_facts(figure, y + 18, scene, own, now) + 10
    columns, order = columns_of(now), _ordered(scene, now)
    y = _paint_table(figure, y, scene, columns, order, now)
    key = scene.attention.keys.position(scene.look.key) if scene.look.key is not None else _top(own)
    if now.dots is not None and key >= 0:
        y = paint_strips(figure, y + 16, scene, now, key)
    return frame.end(figure, y, _note(scene, now, len(order)), palette)


def walks(scene: Scene) -> tuple[Steps, Steps]:
    """Give the row as the model has it, and as the reader plays with it."""
    layer, head = scene.head
    temperature = scene.look.number("temperature", 1.0, 0.01, 100.0)
    scaled = scene.look.flag("scaled", default=True)
    own = walk(scene.capture, layer, head, scene.query, kind=scene.attention.kind)
    if temperature == 1 and scaled:
        return own, own
    kind = scene.attention.kind
    return own, walk(scene.capture, layer, head, scene.query, temperature=temperature, scaled=scaled, kind=kind)


def say_steps(scene: Scene) -> str:
    """Say what the row comes to."""
    own, now = walks(scene)
    played = "" if own is now else f" With temperature {now.temperature:g}{'' if now.scaled else ', not scaled'}:"
    return f"{scene.of_head}, step by step.{played} {_sentence(now)}"


def columns_of(now: Steps) -> list[Column]:
    """Give the steps there are, NaN where a key is masked."""
    seen = now.visible

    def of(values: np.ndarray, sink: float | None = None) -> np.ndarray:
        return np.append(np.where(seen, values, np.nan), np.nan if sink is None else sink)

    columns = []
    if now.dots is not None and now.multiplied is not None:
        columns.append(Column("q·k", of(now.dots)))
        width = 0 if now.q is None else len(now.q)
        root = abs((now.scale or 1) * np.sqrt(width) - 1) < 1e-6
        by = "1" if not now.scaled else f"1/√{width}" if root else f"{now.scale:.3g}"
        last = now.capped is None and now.bias is None
        columns.append(Column(f"× {by}", of(now.multiplied, now.sink if last else None)))
        if now.capped is not None:
            columns.append(Column(f"cap {now.softcap:g}", of(now.capped, now.sink if now.bias is None else None)))
        if now.bias is not None and now.scores is not None:
            columns.append(Column("+ bias", of(now.bias)))
            columns.append(Column("= score", of(now.scores, now.sink)))
    divided = "" if now.temperature == 1 else f"{now.temperature:.2f}"
    name = f"softmax (÷ {divided})" if divided else "softmax"
    if now.dots is None:
        name = f"weight ^1/{divided}" if divided else "weight"
    columns.append(Column(name, of(now.weights, now.sink_weight), is_weight=True))
    if now.weighted_values is not None:
        columns.append(Column("|w·v|", of(np.linalg.norm(now.weighted_values, axis=1))))
    return columns if now.sink is not None else [Column(c.name, c.values[:-1], c.is_weight) for c in columns]


def entropy_of(now: Steps) -> float:
    """Entropy of the row and its sink, in nats."""
    shares = np.append(now.weights[now.visible], now.sink_weight).astype(np.float64)
    shares = shares[shares > 0]
    return float(-(shares * np.log(shares)).sum())


def _top(now: Steps) -> int:
    return int(np.where(now.visible, now.weights, -1).argmax()) if now.visible.any() else -1


def _sentence(now: Steps) -> str:
    asker, top = spoken(now.tokens[0]), _top(now)
    if top < 0:
        return f"{asker} asks, and no key answers: all are masked."
    best, rest = float(now.weights[top]), int(now.visible.sum()) - 1
    parts = [f"{asker} asks; {spoken(now.tokens[1 + top])} answers with {percent(best)}"]
    if rest > 0:
        others = "other key" if rest == 1 else f"other {rest} keys"
        parts.append(f"the {others} with {percent(max(0, 1 - best - now.sink_weight))}")
    if now.sink_weight > 0:
        parts.append(f"the learned sink keeps {percent(now.sink_weight)}")
    return f"{', '.join(parts)}. The head gives back their values, mixed in these shares."


def _ordered(scene: Scene, now: Steps) -> np.ndarray:
    n = len(now.weights) + (now.sink is not None)
    by_position = scene.look.name("sort", ("auto", "position", "weight"))
    weights = np.append(np.where(now.visible, now.weights, -1), now.sink_weight)[:n]
    if by_position == "position" or (by_position == "auto" and len(now.weights) <= ALL_ROWS):
        return np.arange(n)[: ALL_ROWS if n <= ALL_ROWS else MOST_ROWS]
    return np.argsort(-weights, kind="stable")[: n if n <= ALL_ROWS else MOST_ROWS]


def _paint_facts(figure: Figure, y: float, scene: Scene, own: Steps, now: Steps) -> float:
    """Write what the row comes to, before and after the reader's changes."""
    count = int(now.visible.sum()) + (now.sink is not None)
    facts = [("head", head_name(scene.attention, scene.head))]

    def fact(name: str, before: str, after: str, more: str = "") -> None:
        facts.append((name, (after if own is now else f"{before} → {after}") + more))

    fact("entropy", f"{entropy_of(own):.3f}", f"{entropy_of(now):.3f}", f" of {np.log(max(1, count)):.3f} nats")
    before, after = (f"{np.exp(entropy_of(each)):.1f}" for each in (own, now))
    fact("as spread as", before, after, " equal keys")
    if _top(now) >= 0:
        before, after = (fixed(float(each.weights[_top(each)])) for each in (own, now))
        fact("top weight", before, after, f" {spoken(now.tokens[1 + _top(now)])}")
    if now.q is not None:
        facts.append(("d", f"{len(now.q)}{_shared(scene)}"))
    x = float(MARGIN)
    for name, value in facts:
        wide = text_width(name, 12) + 5 + text_width(value, 12) + 16
        if x + wide > WIDTH and x > MARGIN:
            x, y = float(MARGIN), y + 17
        figure.text(x, y, name, size=12, fill=scene.palette.faint)
        figure.text(x + text_width(name, 12) + 5, y, value, size=12, fill=scene.palette.ink)
        x += wide
    return y


def _shared(scene: Scene) -> str:
    layer, head = scene.head
    source = scene.attention.layer(layer)
    if not isinstance(source, QueriesKeys) or source.n_key_heads == source.n_heads:
        return ""
    return f" · keys shared: key head {head // source.group_size} of {source.n_key_heads}"


def _paint_table(figure: Figure, y: float, scene: Scene, columns: list[Column], order: np.ndarray, now: Steps) -> float:
    palette, fill = scene.palette, series_color(scene.palette, 0, 1)
    room = WIDTH - 2 * MARGIN
    parts = [1.4, *(2.3 if column.is_weight else 1.0 for column in columns)]
    edges = MARGIN + np.cumsum(parts) / sum(parts) * room
    figure.text(MARGIN, y + 14, "key", size=12, fill=palette.faint)
    for column, right in zip(columns, edges[1:], strict=True):
        figure.text(right, y + 14, column.name, size=12, fill=palette.faint, anchor="end")
    figure.lines([(MARGIN, y + 20, WIDTH - MARGIN, y + 20)], color=palette.line)
    pinned = None if scene.look.key is None else scene.attention.keys.position(scene.look.key)
    special = scene.attention.keys.special
    for at, row in enumerate(order.tolist()):
        top = y + 22 + at * _PITCH
        is_sink = row >= len(now.weights)
        masked = not is_sink and not now.visible[row]
        if row == pinned:
            figure.rect(MARGIN - 6, top, room + 12, _PITCH - 1, fill=palette.accent, opacity=0.16, radius=3)
        faint = is_sink or masked or bool(special[row])
        ink = palette.faint if faint and row != pinned else palette.ink
        name = SINK if is_sink else shown(now.tokens[1 + row])
        number = "" if is_sink else str(row)
        left = edges[0] - MARGIN - text_width(number, 10) - 8
        name = fitted(name, 12, left)
        figure.text(MARGIN, top + 14, name, size=12, fill=ink)
        figure.text(MARGIN + text_width(name, 12) + 6, top + 14, number, size=10, fill=palette.faint)
        for column, start, right in zip(columns, edges[:-1], edges[1:], strict=True):
            value = float(column.values[row])
            text = fixed(value) if column.is_weight else "–" if np.isnan(value) else written(value)
            figure.text(right, top + 14, text, size=12, fill=ink, anchor="end")
            if column.is_weight:
                track = right - start - 70
                figure.rect(start + 12, top + 6, track, 9, fill=palette.placeholder, radius=2)
                if masked:
                    figure.lines(hatch(start + 12, top + 6, track, 9, 4), color=palette.hatch)
                else:
                    figure.rect(start + 12, top + 6, track * min(1, max(0, value)), 9, fill=fill, radius=2)
    return y + 22 + len(order) * _PITCH


def _note(scene: Scene, now: Steps, rows: int) -> list[str]:
    n = len(now.weights)
    masked = n - int(now.visible.sum())
    note = [f"{rows} of {n:,} keys shown" if rows < n else ""]
    if masked:
        note.append(f"{masked:,} of {n:,} keys are masked: they take no part")
    if now.dots is None:
        note.append(now.missing)
    elif now.output is None:
        note.append("values were not captured (values=True keeps them), so there is no output to show")
    if now.temperature != 1 or not now.scaled:
        note.append("not the model's own numbers")
    if not scene.look.special_tokens:
        note.append("special tokens take part here: this is the model's own row")
    if scene.look.whole_words:
        note.append("tokens one by one")
    return note


def _wrapped(text: str, size: float) -> list[str]:
    lines = [""]
    for word in text.split(" "):
        longer = f"{lines[-1]} {word}" if lines[-1] else word
        if lines[-1] and text_width(longer, size) > WIDTH - 2 * MARGIN:
            lines.append(word)
        else:
            lines[-1] = longer
    return [fitted(line, size, WIDTH - 2 * MARGIN) for line in lines]
