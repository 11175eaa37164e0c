"""The public traits of AttentionWidget: all that is on screen, checked against the capture whoever sets it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import traitlets as t

from attnscope.errors import InputTypeError, meant
from attnscope.widget.selection import (
    SelectionError,
    checked_heads,
    checked_layer,
    checked_name,
    checked_position,
    checked_positions,
    checked_spans,
    fitting_spans,
    heads_in_layer,
    layer_of_heads,
)
from attnscope.wire.comparing import CHANGE
from attnscope.wire.describe import measures_shown
from attnscope.wire.protocol import AGGREGATES, COLOR_SCALES, GROUPINGS, MEASURES, VIEWS

if TYPE_CHECKING:
    from attnscope.attention.capture import Attention, Capture

PUBLIC = (
    "kind", "view", "layer", "heads", "query", "key", "more_queries", "more_keys", "measure", "aggregate",
    "threshold", "special_tokens", "whole_words", "color_scale", "theme", "height", "spans", "group_by",
    "visible_spaces", "color_by", "order_by",
)  # fmt: skip
"""The public traits: all that is on screen, in Python and in the page."""


def refuse_unknown(traits: dict[str, Any]) -> None:
    """Refuse keywords that are no trait, with the nearest one."""
    for name in traits:
        if name not in PUBLIC:
            raise InputTypeError(f"AttentionWidget has no trait {name!r}. {meant(name, PUBLIC, 'The traits are')}")


class Traits(t.HasTraits):
    """What is selected and how it is shown; the widget adds the capture."""

    _shown: Capture

    progress = t.Instance(dict, allow_none=True).tag(sync=True)
    """How far the work is that the widget follows, as ``{"done", "total", "label"}``; None when there is none."""
    kind = t.Unicode().tag(sync=True)
    """Kind of attention shown, one of ``capture.kinds``."""
    view = t.Enum(VIEWS, default_value="links").tag(sync=True)
    """The view shown, one of ``VIEWS``; the page shows its first where one has nothing to show."""
    layer = t.Int(0).tag(sync=True)
    """The current layer, by its true number. Setting it moves the selected heads there."""
    heads: t.List[Any] = t.List().tag(sync=True)
    """Selected heads as ``[[layer, head], …]``, in the order they were selected."""
    query = t.Any(None, allow_none=True).tag(sync=True)
    """Position of the pinned query, or None. May be set to a token or word; reads back as its position."""
    key = t.Any(None, allow_none=True).tag(sync=True)
    """Position of the pinned key, or None. May be set to a token or word; reads back as its position."""
    more_queries: t.List[Any] = t.List().tag(sync=True)
    """Further query positions taken together with the pinned query: their rows are averaged. May be set to tokens."""
    more_keys: t.List[Any] = t.List().tag(sync=True)
    """Further key positions taken together with the pinned key: their columns are added up."""
    measure = t.Enum(MEASURES, default_value="weights").tag(sync=True)
    """The numbers shown: ``"weights"`` after softmax, ``"scores"`` before it, or another measure the capture has:
    ``"value_weighted"``, ``"norm_weighted"``, ``"rollout"``, ``"gradient"``."""
    aggregate = t.Enum(AGGREGATES, default_value="none").tag(sync=True)
    """Whether the selected heads are shown one by one, or joined into their mean or maximum."""
    threshold = t.Float(0.06, min=0.0, max=1.0).tag(sync=True)
    """Links weaker than this share of weight are not drawn, from 0 to 1."""
    special_tokens = t.Bool(default_value=True).tag(sync=True)
    """Whether special tokens take part; if not, the other weights are rescaled and the removed share is printed."""
    whole_words = t.Bool(default_value=False).tag(sync=True)
    """Whether pieces of a word are joined: weights summed over its keys, averaged over its queries."""
    color_scale = t.Enum(COLOR_SCALES, default_value="linear").tag(sync=True)
    """How a number becomes a shade."""
    theme = t.Enum(("auto", "light", "dark"), default_value="auto").tag(sync=True)
    """Colours: the host's, light or dark."""
    height = t.Int(480, min=200, max=4000).tag(sync=True)
    """Height in CSS pixels, from 200 to 4,000."""
    spans: t.List[Any] = t.List().tag(sync=True)
    """Your own passages of the text, which the text view sums up: ``{"from": 3, "to": 8, "label": "premise"}`` with the
    first token and the one past the last, and ``"side": "query"`` or ``"key"`` where those are two texts (key, if you
    do not say)."""
    group_by = t.Enum(GROUPINGS, default_value="auto").tag(sync=True)
    """What the text view sums up: ``"span"``, ``"turn"``, ``"segment"``, ``"sentence"``, ``"none"``, or ``"auto"`` for
    the first of these that the text has."""
    visible_spaces = t.Bool(default_value=False).tag(sync=True)
    """Whether the text view shows spaces and line breaks as signs."""
    color_by = t.Unicode("auto").tag(sync=True)
    """What the head map is coloured by: the name of a statistic, ``"role"``, ``"pair"`` for the weight from the pinned
    query to the pinned key, or ``"auto"`` for that where two tokens are pinned and the first statistic elsewhere."""
    order_by = t.Unicode("layer").tag(sync=True)
    """The order of the grid: ``"layer"``, ``"likeness"``, ``"role"`` or the name of a statistic."""

    def _attention(self, kind: str) -> Attention:
        if kind not in self._shown.kinds:
            raise SelectionError(
                f"There is no {kind!r} attention in this capture; it has {', '.join(map(repr, self._shown.kinds))}."
            )
        return self._shown[kind]

    @t.validate("kind")
    def _valid_kind(self, proposal: Any) -> str:
        return self._attention(proposal["value"]).kind

    @t.validate("layer")
    def _valid_layer(self, proposal: Any) -> int:
        return checked_layer(self._attention(self.kind), proposal["value"])

    @t.validate("heads")
    def _valid_heads(self, proposal: Any) -> list[list[int]]:
        return checked_heads(self._attention(self.kind), proposal["value"])

    @t.validate("query")
    def _valid_query(self, proposal: Any) -> int | None:
        return checked_position(self._attention(self.kind).queries, proposal["value"])

    @t.validate("key")
    def _valid_key(self, proposal: Any) -> int | None:
        return checked_position(self._attention(self.kind).keys, proposal["value"])

    @t.validate("more_queries")
    def _valid_more_queries(self, proposal: Any) -> list[int]:
        return checked_positions(self._attention(self.kind).queries, "more_queries", proposal["value"])

    @t.validate("more_keys")
    def _valid_more_keys(self, proposal: Any) -> list[int]:
        return checked_positions(self._attention(self.kind).keys, "more_keys", proposal["value"])

    @t.validate("spans")
    def _valid_spans(self, proposal: Any) -> list[dict[str, Any]]:
        return checked_spans(self._attention(self.kind), proposal["value"])

    @t.validate("color_by")
    def _valid_color_by(self, proposal: Any) -> str:
        return checked_name(self._shown, "color_by", proposal["value"], "auto", "pair", "role", CHANGE)

    @t.validate("order_by")
    def _valid_order_by(self, proposal: Any) -> str:
        return checked_name(self._shown, "order_by", proposal["value"], "layer", "likeness", "role", CHANGE)

    @t.validate("measure")
    def _valid_measure(self, proposal: Any) -> str:
        available = measures_shown(self._attention(self.kind))
        if proposal["value"] not in available:
            raise SelectionError(
                f"This capture has no {proposal['value']!r} to show, only {', '.join(available)}. Scores need queries "
                "and keys: attnscope.capture(...) or from_queries_keys(...); value-weighted and norm-weighted need "
                "capture(..., values=True)."
            )
        return str(proposal["value"])

    @t.observe("layer")
    def _follow_layer(self, change: Any) -> None:
        if self.heads:
            self.heads = heads_in_layer(self._attention(self.kind), self.heads, change["new"])

    @t.observe("heads")
    def _follow_heads(self, change: Any) -> None:
        self.layer = layer_of_heads(change["new"], self.layer)

    @t.observe("kind")
    def _follow_kind(self, change: Any) -> None:
        if not change["old"]:
            return
        attention = self._attention(change["new"])
        layer = self.layer if self.layer in attention.stored else attention.layers[0]
        with self.hold_trait_notifications():
            self.query = self.key = None
            self.more_queries, self.more_keys = [], []
            self.spans = fitting_spans(attention, self.spans)
            if self.measure not in measures_shown(attention):
                self.measure = "weights"
            self.heads = heads_in_layer(attention, [pair for pair in self.heads if pair[0] == layer], layer)
            self.layer = layer
