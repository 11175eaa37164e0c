"""In which order heads stand, and what each has to say for it; js/src/views/grid.ts has the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from attnscope.analysis.statistics import measures_of
from attnscope.errors import InputError
from attnscope.export.labels import fixed
from attnscope.wire.comparing import CHANGE

if TYPE_CHECKING:
    from attnscope.export.scene import Scene

ROLES = {
    "previous_token": "P", "self": "S", "next_token": "N", "local": "L", "duplicate_token": "D", "induction": "I",
    "sink": "1", "separator": "/", "punctuation": ".", "broad": "B",
}  # fmt: skip
"""The sign of each role, in the order of their colours; js/src/controls/roles.ts has the same."""
_SHORT = {"punctuation": "punct."}


@dataclass(frozen=True)
class Order:
    """Heads in an order.

    Parameters
    ----------
    heads
        As (layer, head).
    said
        What each has to say; empty where the order says nothing of single heads.
    roles
        The role of each where they are ordered by it; empty for none.
    note
        How the order came about, where that is worth knowing.
    """

    heads: list[tuple[int, int]]
    said: list[str]
    roles: list[str]
    note: str = ""


def order_of(scene: Scene) -> Order:
    """Put the heads in the order asked for.

    Raises
    ------
    InputError
        For an order there is not.
    """
    heads = [(number, head) for number, layer in scene.attention.stored.items() for head in range(layer.n_heads)]
    by = scene.look.order_by
    if by == "layer":
        return Order(heads, [], [])
    if by == "likeness":
        found = scene.ask("likeness")
        return Order(_sorted(scene, heads, found.values, 1), [], [], _compared(found.info or {}))
    if by == "role":
        found = scene.ask("roles")
        places = found.values[..., 0]
        ordered = _sorted(scene, heads, places, 1)
        names = (found.info or {}).get("roles", [])
        at = [_value(scene, places, head) for head in ordered]
        roles = ["" if np.isnan(number) else str(names[int(number)]) for number in at]
        return Order(ordered, [_short(role) if role else "–" for role in roles], roles)
    known = [*measures_of(scene.capture, scene.attention.kind), *([CHANGE] if scene.other else [])]
    if by not in known:
        raise InputError(f"order_by is 'layer', 'likeness', 'role' or one of {', '.join(known)}, got {by!r}.")
    values = scene.ask("statistic", statistic=by).values
    ordered = _sorted(scene, heads, values, -1)
    numbers = [_value(scene, values, head) for head in ordered]
    return Order(ordered, ["none" if np.isnan(value) else fixed(value, 2) for value in numbers], [])


def role_name(role: str) -> str:
    """Name a role in a sentence."""
    return "first token (sink)" if role == "sink" else role.replace("_", " ")


def _short(role: str) -> str:
    return _SHORT.get(role, role.replace("_", " ").replace(" token", ""))


def _value(scene: Scene, values: np.ndarray, head: tuple[int, int]) -> float:
    return float(values[scene.attention.layers.index(head[0]), head[1]])


def _sorted(scene: Scene, heads: list[tuple[int, int]], values: np.ndarray, sign: int) -> list[tuple[int, int]]:
    """Sort heads by what they have; those without a number come last."""

    def key(head: tuple[int, int]) -> tuple[bool, float]:
        value = _value(scene, values, head)
        return bool(np.isnan(value)), 0.0 if np.isnan(value) else sign * value

    return sorted(heads, key=key)


def _compared(info: dict[str, list[int]]) -> str:
    """Say so where heads were compared on a part of the text."""
    parts = [
        f"{info[side][0]:,} {what} of {info[side][1]:,}"
        for side, what in (("queries", "queries"), ("keys", "groups of keys"))
        if side in info and info[side][0] < info[side][1]
    ]
    return f"compared over {', '.join(parts)}" if parts else ""
