"""What is to be seen: the public state of a widget, and what only its page knows."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from attnscope.errors import InputError, meant
from attnscope.export.strength import one_of
from attnscope.wire.protocol import AGGREGATES, COLOR_SCALES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ELSEWHERE = ("color_by", "height")
"""Traits of what is outside the view, which a picture has no use for."""


@dataclass(frozen=True)
class Look:
    """The state of a view; the names and meanings are those of the widget's traits.

    Parameters
    ----------
    view
        Which view.
    kind
        Kind of attention; None or empty for the first.
    layer
        Layer shown where no head is selected; None for the first.
    heads
        ``[[layer, head], …]``; none for the first head of the layer.
    query, key, more_queries, more_keys
        Pinned positions.
    measure, aggregate, threshold, special_tokens, whole_words, color_scale
        Which numbers, and how they are drawn.
    spans, group_by, visible_spaces
        The passages of the text view.
    order_by
        The order of the grid.
    theme
        ``"light"`` or ``"dark"``; everything else is light, since paper is.
    choices
        What only the page knows, such as the temperature of the steps; each view says which it reads.
    """

    view: str = "links"
    kind: str | None = None
    layer: int | None = None
    heads: Sequence[Sequence[int]] | None = None
    query: int | None = None
    key: int | None = None
    more_queries: Sequence[int] = ()
    more_keys: Sequence[int] = ()
    measure: str = "weights"
    aggregate: str = "none"
    threshold: float = 0.06
    special_tokens: bool = True
    whole_words: bool = False
    color_scale: str = "linear"
    spans: Sequence[Mapping[str, Any]] = ()
    group_by: str = "auto"
    visible_spaces: bool = False
    order_by: str = "layer"
    theme: str = "light"
    choices: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        one_of("aggregate", self.aggregate, AGGREGATES)
        one_of("color_scale", self.color_scale, COLOR_SCALES)

    @classmethod
    def of(cls, state: Mapping[str, Any]) -> Look:
        """Read a state.

        Raises
        ------
        InputError
            For a name that no trait has, or a value no trait takes.
        """
        names = [each.name for each in fields(cls)]
        for name in state:
            if name not in names and name not in ELSEWHERE:
                raise InputError(f"A picture has no setting {name!r}. {meant(str(name), names)}")
        return cls(**{name: value for name, value in state.items() if name in names})

    def number(self, name: str, default: float, least: float, most: float) -> float:
        """Give a number only the page knows."""
        value = self.choices.get(name, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
            raise InputError(f"{name} is a number from {least:g} to {most:g}, got {value!r}.")
        return value

    def flag(self, name: str, *, default: bool) -> bool:
        """Give a yes or no only the page knows."""
        value = self.choices.get(name, default)
        if not isinstance(value, bool):
            raise InputError(f"{name} is true or false, got {value!r}.")
        return value

    def name(self, name: str, choices: tuple[str, ...]) -> str:
        """Give one of several choices only the page knows, the first unless it says otherwise."""
        value = self.choices.get(name, choices[0])
        one_of(name, value, choices)
        return str(value)

    def span(self, name: str, n: int) -> tuple[int, int]:
        """Give a range of places only the page knows; all of them unless it says otherwise."""
        value = self.choices.get(name)
        if value is None:
            return 0, n
        whole = isinstance(value, list | tuple) and len(value) == 2 and all(type(end) is int for end in value)
        if not whole or not 0 <= value[0] < value[1]:
            raise InputError(f"{name} is [first, one past the last], got {value!r}.")
        start, stop = min(value[0], max(0, n - 1)), min(value[1], n)
        return start, max(start, stop)
