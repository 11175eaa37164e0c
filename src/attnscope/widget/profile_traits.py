"""The public traits of ProfileWidget: all that is on screen, checked against the profile whoever sets it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import traitlets as t

from attnscope.errors import InputTypeError, meant
from attnscope.profiling.head_profile import BY
from attnscope.profiling.measures import ROLES
from attnscope.widget.selection import SelectionError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from attnscope.profiling.head_profile import HeadProfile

PUBLIC = ("heads", "color_by", "x", "y", "by", "show", "ranges", "layer_range", "role", "theme", "height")
"""The public traits: all that is on screen, in Python and in the page."""
ROLE = "role"
"""What heads are coloured by where that is no statistic."""
_FIRST = {
    "color_by": ("sink_share", "previous_token", "entropy"),
    "x": ("entropy", "max_weight"),
    "y": ("mean_distance", "special_share", "gini"),
}


def refuse_unknown(traits: Iterable[str]) -> None:
    """Refuse keywords that are no trait, with the nearest one."""
    for name in traits:
        if name not in PUBLIC:
            raise InputTypeError(f"ProfileWidget has no trait {name!r}. {meant(name, PUBLIC, 'The traits are')}")


def first_choice(profile: HeadProfile, trait: str) -> str:
    """Name what is shown at first, of what the profile has."""
    return next((name for name in _FIRST[trait] if name in profile.statistics), profile.statistics[0])


class ProfileTraits(t.HasTraits):
    """What is selected and how it is shown; the widget adds the profile."""

    _profile: HeadProfile

    heads: t.List[Any] = t.List().tag(sync=True)
    """Selected heads as ``[[layer, head], …]``, in the order they were selected."""
    color_by = t.Unicode().tag(sync=True)
    """What the map is coloured by, and whose strongest texts are listed: a statistic, or ``"role"``."""
    x = t.Unicode().tag(sync=True)
    """The statistic along the scatter."""
    y = t.Unicode().tag(sync=True)
    """The statistic up the scatter."""
    by = t.Enum(BY, default_value="rows").tag(sync=True)
    """What counts the same in a mean: ``"rows"``, every query, or ``"texts"``, every text."""
    show = t.Enum(("scatter", "table"), default_value="scatter").tag(sync=True)
    """What stands beside the map."""
    ranges: t.Dict[str, Any] = t.Dict().tag(sync=True)
    """Heads shown, by their statistics: ``{"sink_share": [0.5, None]}`` for those from 0.5 on."""
    layer_range = t.Any(None, allow_none=True).tag(sync=True)
    """Heads shown, by their layers: ``[first, last]``, or None for all."""
    role = t.Unicode("").tag(sync=True)
    """Heads shown, by their role; empty for all."""
    theme = t.Enum(("auto", "light", "dark"), default_value="auto").tag(sync=True)
    """Colours: the host's, light or dark."""
    height = t.Int(560, min=300, max=4000).tag(sync=True)
    """Height in CSS pixels, from 300 to 4,000."""

    @t.validate("heads")
    def _valid_heads(self, proposal: Any) -> list[list[int]]:
        return checked_heads(self._profile, proposal["value"])

    @t.validate("color_by")
    def _valid_color_by(self, proposal: Any) -> str:
        return _checked_statistic(self._profile, "color_by", proposal["value"], ROLE)

    @t.validate("x")
    def _valid_x(self, proposal: Any) -> str:
        return _checked_statistic(self._profile, "x", proposal["value"])

    @t.validate("y")
    def _valid_y(self, proposal: Any) -> str:
        return _checked_statistic(self._profile, "y", proposal["value"])

    @t.validate("role")
    def _valid_role(self, proposal: Any) -> str:
        if proposal["value"] and proposal["value"] not in ROLES:
            raise SelectionError(f"There is no role {proposal['value']!r}. {meant(proposal['value'], ROLES)}")
        return str(proposal["value"])

    @t.validate("ranges")
    def _valid_ranges(self, proposal: Any) -> dict[str, list[float | None]]:
        return {
            _checked_statistic(self._profile, "range of", name): _checked_ends(name, ends)
            for name, ends in proposal["value"].items()
        }

    @t.validate("layer_range")
    def _valid_layer_range(self, proposal: Any) -> list[int] | None:
        ends = proposal["value"]
        if ends is None:
            return None
        if not _is_pair(ends) or not all(isinstance(end, int) and not isinstance(end, bool) for end in ends):
            raise SelectionError(f"layer_range is [first, last], or None for all layers, got {ends!r}.")
        return list(ends)


def checked_heads(profile: HeadProfile, heads: Any) -> list[list[int]]:
    """Give heads as [layer, head] pairs, each once."""
    if not isinstance(heads, list | tuple):
        raise SelectionError(f"heads is a list of [layer, head], got {heads!r}.")
    counts = dict(zip(profile.layers, profile.head_counts, strict=True))
    pairs: dict[tuple[int, int], None] = {}
    for entry in heads:
        if not _is_pair(entry):
            raise SelectionError(f"A head is [layer, head], got {entry!r}. Two heads are [[5, 3], [5, 11]].")
        layer, head = entry
        if layer not in counts:
            raise SelectionError(f"There is no layer {layer!r}; layers are {', '.join(map(str, profile.layers))}.")
        if isinstance(head, bool) or not isinstance(head, int) or not 0 <= head < counts[layer]:
            raise SelectionError(f"There is no head {head!r}; layer {layer} has heads 0 to {counts[layer] - 1}.")
        pairs[int(layer), head] = None
    return [list(pair) for pair in pairs]


def _is_pair(value: Any) -> bool:
    return isinstance(value, list | tuple) and len(value) == 2


def _checked_statistic(profile: HeadProfile, trait: str, name: Any, *others: str) -> str:
    known: Sequence[str] = (*others, *profile.statistics)
    if name not in known:
        raise SelectionError(f"Heads have no {trait} {name!r}. {meant(str(name), known)}")
    return str(name)


def _checked_ends(name: str, ends: Any) -> list[float | None]:
    if not _is_pair(ends) or not all(end is None or _is_number(end) for end in ends):
        raise SelectionError(f"The range of {name} is [least, most], either of them None, got {ends!r}.")
    return [None if end is None else float(end) for end in ends]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
