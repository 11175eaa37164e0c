"""Following a model while it writes: a widget that grows with each token, and can stop it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from attnscope.errors import InputError
from attnscope.recording.recorder import record

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from attnscope.attention.capture import Capture
    from attnscope.recording.generation.steps import Step
    from attnscope.widget.widget import AttentionWidget

PACE = 0.3
"""Seconds between pictures while the model writes; a new token does not wait for one."""


class _Stopped(BaseException):
    """The reader asked to stop."""


class Live:
    """A recording of ``generate()`` that is shown while it runs; made by :meth:`AttentionWidget.follow`.

    >>> with AttentionWidget.follow(model, tokenizer) as live:                # doctest: +SKIP
    ...     model.generate(**inputs, max_new_tokens=40)
    >>> live.capture                                                          # doctest: +SKIP

    Parameters
    ----------
    model, tokenizer
        As for :func:`attnscope.record`.
    make
        Makes and shows the widget of the first capture.
    widget
        A widget on screen already, which is to follow.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        make: Callable[[Capture], AttentionWidget],
        widget: AttentionWidget | None = None,
    ) -> None:
        self._tokenizer = tokenizer
        self._make = make
        self._recording = record(model, live=True, on_step=self._take)
        self._widget = widget
        self._capture: Capture | None = None
        self._stopping = False
        self._shown_at = 0.0
        self._newest = None if widget is None else widget.query

    @property
    def widget(self) -> AttentionWidget:
        """The widget, once the model has begun to write."""
        if self._widget is None:
            raise InputError("Nothing was written yet: call model.generate(...) inside the with block.")
        return self._widget

    @property
    def capture(self) -> Capture:
        """What was captured: all rows up to the last token that was read."""
        if self._capture is None:
            raise InputError("Nothing was written yet: call model.generate(...) inside the with block.")
        return self._capture

    def stop(self) -> None:
        """Stop the model before its next token; the block ends there and what was written is kept."""
        self._stopping = True

    def __enter__(self) -> Live:
        self._recording.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        try:
            self._recording.__exit__(kind, error, trace)
            if kind is None:
                self._show(self._recording.capture(tokenizer=self._tokenizer))
        finally:
            if self._widget is not None:
                self._widget.progress = None
                self._widget._stop = None
        return isinstance(error, _Stopped)

    def _take(self, step: Step) -> None:
        now = time.monotonic()
        if self._capture is None or self._stopping or now - self._shown_at >= PACE:
            self._show(step.capture(tokenizer=self._tokenizer))
            self._shown_at = now
        if self._widget is not None:
            done = step.number + 1 if step.expected is None else min(step.number + 1, step.expected)
            self._widget.progress = {"done": done, "total": step.expected, "label": "tokens"}
        if self._stopping:
            raise _Stopped

    def _show(self, capture: Capture) -> None:
        self._capture = capture
        if self._widget is None:
            self._widget = self._make(capture)
            self._newest = self._widget.query
        else:
            self._widget.capture = capture
        self._widget._stop = self.stop
        if self._widget.query == self._newest:  # the reader may have pinned another
            self._newest = self._widget.query = len(capture[self._widget.kind].queries) - 1
