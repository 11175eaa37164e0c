"""LogprobsWidget: the tokens of a text coloured by their surprisal, with what could have stood in their place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import traitlets as t

from attnscope.attention.logprobs import TokenLogprobs
from attnscope.errors import InputTypeError
from attnscope.widget.selection import SelectionError, checked_position
from attnscope.widget.standing import StandingWidget
from attnscope.wire.assets import asset
from attnscope.wire.logprobs_pack import pack_logprobs

if TYPE_CHECKING:
    import os

PUBLIC = ("choice", "token", "theme", "height")
"""The public traits: all that is on screen, in Python and in the page."""


class LogprobsWidget(StandingWidget):
    """Show how surprising each token of a text was to a language model, and what it would have said instead.

    A :class:`TokenLogprobs` at the end of a cell shows itself; this is for several texts, for the traits, and to save.

    Parameters
    ----------
    logprobs
        What to show: of one text, or of several, which share one scale of colours.
    choice
        Which of several texts to start with.
    token
        Token to pin: a position, a token or a word.
    theme
        ``"auto"`` follows the host; ``"light"`` or ``"dark"``.
    height
        Height in CSS pixels.

    Raises
    ------
    InputTypeError
        For something else than log-probabilities.
    SelectionError
        When there is no such text or token.

    Examples
    --------
    >>> widget = LogprobsWidget(logprobs(model, tokenizer, text), token="bird")
    >>> widget.save("surprisal.html")
    """

    _esm = asset("strip.js")
    _css = asset("strip.css")

    _data = t.Bytes().tag(sync=True)

    choice = t.Any(0).tag(sync=True)
    """Which of several texts is shown, counted from 0. Setting it releases the pinned token."""
    token = t.Any(None, allow_none=True).tag(sync=True)
    """Position of the pinned token, or None. May be set to a token or word; reads back as its position."""
    theme = t.Enum(("auto", "light", "dark"), default_value="auto").tag(sync=True)
    """Colours: the host's, light or dark."""
    height = t.Int(360, min=200, max=4000).tag(sync=True)
    """Height in CSS pixels, from 200 to 4,000."""

    def __init__(
        self,
        logprobs: TokenLogprobs | Sequence[TokenLogprobs],
        *,
        choice: int = 0,
        token: int | str | None = None,
        theme: str = "auto",
        height: int = 360,
    ) -> None:
        several = isinstance(logprobs, Sequence) and not isinstance(logprobs, str)
        texts: list[Any] = [*logprobs] if several else [logprobs]  # type: ignore[misc]  # checked in the next line
        if not texts or not all(isinstance(each, TokenLogprobs) for each in texts):
            raise InputTypeError(
                f"LogprobsWidget shows TokenLogprobs, or a list of them, got {type(logprobs).__name__}. Make them with "
                "attnscope.logprobs(model, tokenizer, text) or attnscope.from_logprobs(answer)."
            )
        self._texts: list[TokenLogprobs] = texts
        super().__init__(_data=pack_logprobs(texts, {}), _mark=uuid4().hex, choice=choice, theme=theme, height=height)
        self.token = token

    def __repr__(self) -> str:
        more = f", text {self.choice + 1} of {len(self._texts)}" if len(self._texts) > 1 else ""
        return (
            f"LogprobsWidget({self.logprobs!r}{more}) - run this cell in a notebook to see it live, or save it with "
            ".save('page.html')"
        )

    @property
    def logprobs(self) -> TokenLogprobs:
        """What is shown."""
        return self._texts[self.choice]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write what is on screen to a file; the suffix decides.

        Parameters
        ----------
        path
            ``.html`` for one interactive page of all texts that opens from disk with no network; ``.png`` or ``.svg``
            for a picture.
        """
        from attnscope.export.logprobs import save

        save(self._texts, self._state(), path)

    @t.validate("choice")
    def _valid_choice(self, proposal: Any) -> int:
        value, most = proposal["value"], len(self._texts) - 1
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
            there = "text 0" if most == 0 else f"texts 0 to {most}"
            raise SelectionError(f"There is no text {value!r}, only {there}.")
        return value

    @t.validate("token")
    def _valid_token(self, proposal: Any) -> int | None:
        return checked_position(self.logprobs.tokens, proposal["value"])

    @t.observe("choice")
    def _follow_choice(self, _change: Any) -> None:
        self.token = None

    def _pictures(self) -> dict[str, str]:
        from attnscope.export.logprobs import static_bundle

        return static_bundle(self._texts, self._state(), self._mark)

    def _stand_in(self) -> str:
        from attnscope.export.logprobs import stand_in

        return stand_in(self._texts, self._state(), self._mark)

    def _state(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in PUBLIC}
