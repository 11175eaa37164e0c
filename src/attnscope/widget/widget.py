"""AttentionWidget: a capture on screen, its state as traits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import uuid4

import traitlets as t

from attnscope.widget.keeping import Selection, Snapshot, selection_of, snippet_of
from attnscope.widget.requests import RequestDesk
from attnscope.widget.selection import (
    checked_heads,
    checked_layer,
    checked_position,
    fitting_spans,
    has_head,
    heads_in_layer,
    layer_of_heads,
    require_capture,
)
from attnscope.widget.standing import StandingWidget
from attnscope.widget.storing import Store
from attnscope.widget.traits import PUBLIC, Traits, refuse_unknown
from attnscope.wire.assets import asset
from attnscope.wire.comparing import describe_comparison, with_change
from attnscope.wire.describe import describe, measures_shown
from attnscope.wire.first import first_answers
from attnscope.wire.question import Held

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping

    from attnscope.attention.capture import Capture
    from attnscope.widget.live import Live
    from attnscope.wire.protocol import CaptureInfo


class AttentionWidget(Traits, StandingWidget):
    """Show what a capture's heads look at.

    Everything on screen is a trait, synced both ways: set it from Python and the page follows; click in the page and
    ``observe`` hears of it. A selection that is not in the capture is refused with a :class:`SelectionError`, and the
    widget keeps what it showed.

    Parameters
    ----------
    capture
        What to show.
    kind
        Kind of attention to start with; None for the capture's first.
    layer
        Layer to start with; where the capture has no such layer by default, its first.
    heads
        ``[[layer, head], …]`` to start with; None for the first head of the layer.
    view
        ``"links"``, ``"matrix"``, ``"grid"``, ``"text"``, ``"steps"``, ``"flow"``; ``"image"`` where tokens are patches
        or times; ``"compare"`` with ``compare=``.
    query
        Token to pin: a position, a token or a word.
    height
        Height in CSS pixels.
    theme
        ``"auto"`` follows the host; ``"light"`` or ``"dark"``.
    compare
        A second capture to lay beside the first: another text, model or checkpoint.
    model, tokenizer
        The model that was captured, and what names its predictions: with them the page can switch heads off and see
        what the model says instead. Without them it only looks.
    embed, embed_megabytes
        What is stored with the notebook, and within how many megabytes; see the traits.
    **traits
        Any other trait below.

    Examples
    --------
    >>> widget = AttentionWidget(c, layer=1, query="bird", key="red")
    >>> widget.view = "matrix"
    >>> widget.save("bird.html")
    >>> widget.save("bird.svg")
    """

    _esm = asset("widget.js")
    _css = asset("widget.css")

    _capture = t.Dict().tag(sync=True)
    _compare = t.Dict().tag(sync=True)
    _first: t.List[Any] = t.List().tag(sync=True)

    embed = t.Enum(("auto", "all", "selection", "none"), default_value="auto")
    """What is stored with the notebook, so that it works without a kernel: ``"auto"`` for all of the capture where it
    fits, else for what is selected and what else fits; ``"all"`` whatever its size; ``"selection"`` for the selected
    heads alone; ``"none"``. It is queries and keys, or weights to 1 / 131070 where only those fit."""
    embed_megabytes = t.Float(2.0, min=0.0)
    """Most megabytes (10⁶ characters of the notebook's file) that ``"auto"`` and ``"selection"`` may store."""

    def __init__(
        self,
        capture: Capture,
        *,
        kind: str | None = None,
        layer: int = 0,
        heads: list[list[int]] | None = None,
        view: str = "links",
        query: int | str | None = None,
        height: int = 480,
        theme: str = "auto",
        compare: Capture | None = None,
        model: Any = None,
        tokenizer: Any = None,
        embed: str = "auto",
        embed_megabytes: float = 2.0,
        **traits: Any,
    ) -> None:
        require_capture(capture)
        if compare is not None:
            require_capture(compare)
        refuse_unknown(traits)
        self._shown = capture
        kind = capture.kinds[0] if kind is None else kind
        attention = self._attention(kind)
        if heads is not None:
            heads = checked_heads(attention, heads)
            layer = layer_of_heads(heads, layer)
        elif layer == 0 and 0 not in attention.stored:
            layer = attention.layers[0]
        layer = checked_layer(attention, layer)
        heads = heads_in_layer(attention, [], layer) if heads is None else heads
        self.compared = compare
        self._model, self._tokenizer = model, tokenizer
        compared: Any = {} if compare is None else describe_comparison(capture, compare)
        self._desk = RequestDesk(self._held(), self._send_reply)
        self._store = Store(self._send_stored)
        self._stop: Callable[[], object] | None = None
        pinned = checked_position(attention.queries, query), checked_position(attention.keys, traits.get("key"))
        super().__init__(
            _capture=self._described(compared, pinned),
            _compare=compared,
            _first=first_answers(capture, kind, heads, pinned[0]),
            kind=kind,
            layer=layer,
            heads=heads,
            view=view,
            query=query,
            height=height,
            theme=theme,
            embed=embed,
            embed_megabytes=embed_megabytes,
            _mark=uuid4().hex,
            **traits,
        )
        self.on_msg(self._on_message)

    def __repr__(self) -> str:
        attention = self._attention(self.kind)
        name = f"{self.capture.model_name}, " if self.capture.model_name else ""
        return (
            f"AttentionWidget({name}{attention.shape_text}, {len(attention.queries)} tokens, {self.view} of "
            f"{', '.join(f'layer {layer} head {head}' for layer, head in self.heads) or 'no head'}) "
            "- run this cell in a notebook to see it live, or save it with .save('page.html')"
        )

    @property
    def capture(self) -> Capture:
        """The capture shown. Setting another shows that one, with what is selected as far as it has it."""
        return self._shown

    @capture.setter
    def capture(self, capture: Capture) -> None:
        require_capture(capture)
        if capture is self._shown:  # nothing would be told to the page, which waits for answers
            return
        kind = self.kind if self.kind in capture.kinds else capture.kinds[0]
        attention = capture[kind]
        heads = [pair for pair in self.heads if has_head(attention, pair)]
        layer = self.layer if self.layer in attention.stored else attention.layers[0]
        self._shown = capture
        compared: Any = {} if self.compared is None else describe_comparison(capture, self.compared)
        self._desk.show(self._held())
        self._store.clear()
        with self.hold_sync():
            self.spans = fitting_spans(attention, self.spans)
            self.more_queries = [at for at in self.more_queries if at < len(attention.queries)]
            self.more_keys = [at for at in self.more_keys if at < len(attention.keys)]
            self.query = self.query if self.query is None or self.query < len(attention.queries) else None
            self.key = self.key if self.key is None or self.key < len(attention.keys) else None
            if self.measure not in measures_shown(attention):
                self.measure = "weights"
            self.kind = kind
            self.heads = heads or heads_in_layer(attention, [], layer)
            self._first = first_answers(capture, kind, self.heads, self.query)
            self._compare = compared
            self._capture = dict(self._described(compared, (self.query, self.key)))

    def save(self, path: str | os.PathLike[str], *, megabytes: float | None = None) -> None:
        """Write what is on screen to a file; the suffix decides.

        Parameters
        ----------
        path
            ``.html`` for one interactive page that opens from disk, complete for this capture, with no network;
            ``.png`` or ``.svg`` for a picture.
        megabytes
            Room for the data of an ``.html``, in units of 10⁶ characters: the selected heads are stored, and what else
            fits; the page says what it does not hold. None for all of it, which is refused where no browser could
            open it. For long texts and big models the page goes without statistics of its heads.
        """
        from attnscope.export.save import save

        save(self.capture, self._state(), path, self.compared, megabytes=megabytes)

    def snapshot(self) -> Snapshot:
        """Give what is on screen now to display without a live view: a picture, and a page to look around in.

        It does not change any more, needs no kernel, and shows in every reader of notebooks: ``display(w.snapshot())``,
        or as the last line of a cell. Where scripts are taken out, the picture is what is left.
        """
        from attnscope.export.static import snapshot_bundle, words

        given = self.capture, self._state(), self.compared
        return Snapshot(snapshot_bundle(*given), words(*given))

    @classmethod
    def follow(cls, model: Any, tokenizer: Any, *, widget: AttentionWidget | None = None, **traits: Any) -> Live:
        """Follow a model while it writes: a widget that grows with each token.

        >>> with AttentionWidget.follow(model, tokenizer) as live:                # doctest: +SKIP
        ...     model.generate(**inputs, max_new_tokens=40)
        >>> live.capture                                                          # doctest: +SKIP

        Every step is shown with the numbers it was written with; the newest token is pinned until the reader pins
        another. *Stop* in the page, or ``live.stop()``, ends the block before the next token and keeps what was
        written. Whether a page's message comes through while a cell runs is up to the notebook; interrupting the
        kernel always works, and what was written is kept then too.

        Parameters
        ----------
        model, tokenizer
            As for :func:`attnscope.record`; not for beams.
        widget
            A widget on screen already; without one, one is made and shown at the first token.
        **traits
            Traits of the widget that is made.
        """
        from IPython.display import display

        from attnscope.widget.live import Live

        refuse_unknown(traits)

        def make(capture: Capture) -> AttentionWidget:
            made = cls(capture, **traits)
            display(made)  # type: ignore[no-untyped-call]  # IPython has no types
            return made

        return Live(model, tokenizer, make, widget)

    @property
    def selection(self) -> Selection:
        """What is pinned and selected, as positions and as tokens."""
        attention = self._attention(self.kind)
        return selection_of(self._state(), attention.queries, attention.keys)

    def snippet(self) -> str:
        """Write the Python that shows what is on screen again: ``AttentionWidget(capture, …)`` with every choice."""
        attention = self._attention(self.kind)
        comments = {
            name: f"  # {tokens[position]!r}"
            for name, tokens, position in (("query", attention.queries, self.query), ("key", attention.keys, self.key))
            if position is not None
        }
        defaults = {name: self.traits()[name].default() for name in PUBLIC}
        defaults |= {"kind": self.capture.kinds[0], "layer": layer_of_heads(self.heads, self.layer)}
        return snippet_of(self._state(), defaults, comments)

    def close(self) -> None:
        """Close the widget and stop answering its page."""
        if hasattr(self, "_desk"):
            self._desk.close()
            self._store.close()
        super().close()

    def _pictures(self) -> dict[str, str]:
        from attnscope.export.static import static_bundle

        return static_bundle(self.capture, self._state(), self.compared, self._mark)

    def _stand_in(self) -> str:
        from attnscope.export.static import stand_in

        embed: Any = self.embed
        return stand_in(self.capture, self._state(), self.compared, self._mark, embed)

    def _end_cell(self, is_watched: bool) -> None:
        """Show what stands in for the view, and store at once what cannot be sent later."""
        super()._end_cell(is_watched)
        if self.comm is not None and not is_watched:
            self._store.fill(*self._stored())

    def _stored(self) -> tuple[Any, ...]:
        return self.capture, self.compared, self._state(), self.embed, self.embed_megabytes

    def _held(self) -> Held:
        return Held(self._shown, self.compared, self._model, self._tokenizer, self._draw)

    def _draw(self, state: Mapping[str, Any]) -> str:
        from attnscope.export.save import drawn

        return drawn(self._shown, state, self.compared)

    def _described(self, compared: Any, pinned: tuple[int | None, int | None]) -> CaptureInfo:
        info = with_change(describe(self._shown, pinned=pinned), compared)
        return {**info, "runs": True} if self._model is not None else info

    def _state(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in PUBLIC}

    def _send_reply(self, reply: Any, buffers: list[bytes]) -> None:
        if self.comm is not None:
            self.send(reply, buffers)

    def _send_stored(self, data: bytes) -> None:
        if self.comm is not None:  # no trait: it would travel before the view whenever a page is loaded anew
            self._send({"method": "update", "state": {}, "buffer_paths": [["_stored"]]}, buffers=[data])

    def _on_message(self, _widget: Any, content: Any, _buffers: Any) -> None:
        if isinstance(content, dict) and content.get("type") == "stop":
            if self._stop is not None:
                self._stop()
            return
        if isinstance(content, dict) and content.get("type") == "store":
            has = content.get("has")
            if self._stop is None and isinstance(has, int):
                self._store.fill_later(*self._stored(), has=has)
            return
        self._desk.take(content)
