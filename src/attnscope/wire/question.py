"""A request of the page, read with care: what it asks about, or why it cannot be answered."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from attnscope.errors import InputError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from attnscope.attention.capture import Attention, Capture


class Cancelled(Exception):  # noqa: N818
    """The page no longer wants the answer."""


@dataclass(frozen=True)
class Held:
    """What the page may ask about.

    Parameters
    ----------
    capture
        The capture on screen.
    other
        The capture it is compared with; requests name it by ``capture: 1``.
    model
        The model the capture was made of, where the user gave it, to run it again.
    tokenizer
        Its tokenizer, to name what it predicts.
    draw
        Draws a state as SVG.
    """

    capture: Capture
    other: Capture | None = None
    model: Any = None
    tokenizer: Any = None
    draw: Callable[[Mapping[str, Any]], str] | None = None


@dataclass(frozen=True)
class Numbers:
    """An answer.

    Parameters
    ----------
    values
        The numbers; they cross as float32.
    info
        What is no array of numbers, as JSON.
    """

    values: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float32))
    info: dict[str, Any] | None = None


@dataclass(frozen=True)
class Question:
    """One request.

    Parameters
    ----------
    held
        What may be asked about.
    request
        What the page sent.
    is_cancelled
        Whether the page no longer waits.
    """

    held: Held
    request: Mapping[str, Any]
    is_cancelled: Callable[[], bool] = lambda: False

    def go_on(self) -> None:
        """Stop if nobody waits any more; asked between heads."""
        if self.is_cancelled():
            raise Cancelled

    def get(self, name: str, default: Any = None) -> Any:
        """Give a field as it came."""
        return self.request.get(name, default)

    @property
    def capture(self) -> Capture:
        """The capture asked about."""
        number = self.get("capture", 0)
        if number == 0:
            return self.held.capture
        if number != 1 or isinstance(number, bool) or self.held.other is None:
            raise NotFoundError(f"There is no capture {number!r} here; 0 is the one shown, 1 the one compared with it.")
        return self.held.other

    @property
    def attention(self) -> Attention:
        """The kind of attention asked about."""
        kind = self.get("kind")
        if not isinstance(kind, str):
            raise InputError(f"kind is the name of a kind of attention, got {kind!r}.")
        return self.capture[kind]

    def ints(self, *names: str) -> list[int]:
        """Give fields that are whole numbers."""
        return whole_numbers([self.get(name) for name in names], len(names), " and ".join(names))

    def heads(self) -> list[tuple[int, int]]:
        """Give the heads asked about, as (layer, head)."""
        heads = self.get("heads")
        if not isinstance(heads, list) or not heads:
            raise InputError(f"heads is a list of [layer, head], got {heads!r}.")
        pairs = [whole_numbers(pair, 2, "A head is [layer, head]") for pair in heads]
        return [(layer, head) for layer, head in pairs]

    def span(self, side: str) -> slice:
        """Give a range of positions along ``"queries"`` or ``"keys"``."""
        n = len(self.attention.queries if side == "queries" else self.attention.keys)
        start, stop = whole_numbers(self.get(side), 2, f"{side} is [from, to]")
        if not 0 <= start <= stop <= n:
            raise NotFoundError(f"{side} from {start} to {stop} are not there: the positions are 0 to {n - 1}.")
        return slice(start, stop)

    def position(self, side: str) -> int:
        """Give a position along ``"query"`` or ``"key"``."""
        n = len(self.attention.queries if side == "query" else self.attention.keys)
        (position,) = self.ints(side)
        if not 0 <= position < n:
            raise NotFoundError(f"There is no {side} position {position}: the positions are 0 to {n - 1}.")
        return position


def whole_numbers(values: Any, count: int, what: str) -> list[int]:
    """Check a list of so many whole numbers."""
    if (
        not isinstance(values, list | tuple)
        or len(values) != count
        or any(isinstance(value, bool) or not isinstance(value, int) for value in values)
    ):
        raise InputError(f"{what}, as {count} whole numbers; got {values!r}.")
    return list(values)
