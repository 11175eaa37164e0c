"""What a picture is drawn from: the captures, the state, and the numbers both lead to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from attnscope.errors import InputError
from attnscope.export.axis import Axis
from attnscope.export.headname import spoken_head_name
from attnscope.export.labels import clean, spoken
from attnscope.export.palette import palette_of
from attnscope.export.series import Series
from attnscope.wire.answers import ANSWERS
from attnscope.wire.describe import measures_shown
from attnscope.wire.question import Held, Numbers, Question

if TYPE_CHECKING:
    from collections.abc import Sequence

    from attnscope.attention.capture import Attention, Capture
    from attnscope.export.look import Look
    from attnscope.export.palette import Palette

Pins = dict[str, list[int]]


@dataclass(frozen=True, eq=False)
class Scene:
    """What a picture is drawn from.

    Parameters
    ----------
    capture, other
        What is shown, and what it is compared with, if anything.
    look
        The state.
    attention
        The kind of attention shown.
    palette
        The colours.
    queries, keys
        The places of both sides.
    series
        What has a colour of its own; the head selected last comes last.
    pinned
        Places pinned on the ``"query"`` and the ``"key"`` side, the first pinned first.
    known
        What was asked already.
    """

    capture: Capture
    other: Capture | None
    look: Look
    attention: Attention
    palette: Palette
    queries: Axis
    keys: Axis
    series: tuple[Series, ...]
    pinned: Pins
    known: dict[str, Numbers] = field(default_factory=dict)

    @classmethod
    def of(cls, capture: Capture, look: Look, other: Capture | None = None) -> Scene:
        """Look up everything.

        Raises
        ------
        InputError
            For an unknown measure.
        NotFoundError
            For a kind, layer, head or position that is not there.
        """
        attention = capture[look.kind or capture.kinds[0]]
        queries = Axis.of(attention.queries, whole_words=look.whole_words)
        same = attention.keys is attention.queries
        keys = queries if same else Axis.of(attention.keys, whole_words=look.whole_words)
        pinned = {
            "query": _pinned(queries, look.query, look.more_queries),
            "key": _pinned(keys, look.key, look.more_keys),
        }
        series = tuple(series_of(capture, attention, look, queries, keys))
        return cls(capture, other, look, attention, palette_of(look.theme), queries, keys, series, pinned)

    @property
    def is_one_text(self) -> bool:
        """Whether queries and keys are the same tokens."""
        return self.keys is self.queries

    @property
    def head(self) -> tuple[int, int]:
        """The head selected last."""
        return self.series[-1].heads[-1]

    @property
    def of_head(self) -> str:
        """Name the head selected last, and its model, in a sentence."""
        return f"{spoken_head_name(self.attention, self.head)}{self.of_model}"

    @property
    def query(self) -> int:
        """The pinned query's position, the first token's where none is pinned."""
        return 0 if self.look.query is None else self.attention.queries.position(self.look.query)

    def axis(self, side: str) -> Axis:
        """Give the places of a side."""
        return self.queries if side == "query" else self.keys

    def ask(self, name: str, **request: Any) -> Numbers:
        """Ask what the page asks: one of the requests of the wire, of this kind of attention."""
        key = repr((name, sorted(request.items())))
        if key not in self.known:
            question = Question(Held(self.capture, self.other), {"kind": self.attention.kind, **request})
            self.known[key] = ANSWERS[name](question)
        return self.known[key]

    def said(self, side: str, units: Sequence[int]) -> str:
        """Name some tokens in a sentence."""
        return " + ".join(spoken(self.axis(side).text[unit]) for unit in units)

    @property
    def of_model(self) -> str:
        """Name the model behind a head."""
        return f" of {clean(self.capture.model_name)}" if self.capture.model_name else ""


def series_of(capture: Capture, attention: Attention, look: Look, queries: Axis, keys: Axis) -> list[Series]:
    """Give what is selected, one entry per colour."""
    available = measures_shown(attention)
    if look.measure not in available:
        raise InputError(
            f"There are no numbers for the measure {look.measure!r} here, only {', '.join(available)}. Scores need "
            "queries and keys, not weights only; value-weighted and norm-weighted need capture(..., values=True)."
        )
    layer = attention.layers[0] if look.layer is None else look.layer
    pairs = [(int(at), attention.head(at, head)) for at, head in look.heads or [(layer, 0)]]
    chosen = list(dict.fromkeys(pairs))
    if look.aggregate != "none" and len(chosen) > 1:
        groups, aggregate = [tuple(chosen)], look.aggregate
    else:
        groups, aggregate = [(pair,) for pair in chosen], "none"
    return [
        Series(capture, attention, heads, queries, keys, look.measure, aggregate, look.special_tokens)
        for heads in groups
    ]


def _pinned(axis: Axis, first: int | None, more: Sequence[int]) -> list[int]:
    if first is None:
        return []
    return axis.units(axis.tokens.position(position) for position in [first, *more])
