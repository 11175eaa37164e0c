"""ProfileWidget: a profile on screen, its state as traits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import uuid4

import anywidget
import numpy as np
import traitlets as t

from attnscope.errors import InputError, InputTypeError
from attnscope.profiling.head_profile import HeadProfile
from attnscope.profiling.reading import Texts
from attnscope.widget.profile_traits import PUBLIC, ProfileTraits, checked_heads, first_choice, refuse_unknown
from attnscope.widget.standing import StandingWidget
from attnscope.widget.widget import AttentionWidget
from attnscope.wire.assets import asset
from attnscope.wire.profile_answers import Shown, answer_profile
from attnscope.wire.profile_heads import passing
from attnscope.wire.profile_pack import pack_profile

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from attnscope.profiling.subject import Subject


class ProfileWidget(ProfileTraits, StandingWidget):
    """Show what many texts say of every head.

    A profile at the end of a cell shows itself; this is for what the profile does not keep, its texts and its model.
    With both, a click on a text captures it and shows it with that head selected, in the same place. Everything on
    screen is a trait, synced both ways, as in :class:`attnscope.AttentionWidget`.

    Parameters
    ----------
    profile
        What to show.
    texts
        The texts that were profiled: a list, or the path of a file; no iterator, which the profile has used up. Without
        them, texts are named by their numbers.
    model, tokenizer
        The model that was profiled, or a function that loads it, and its tokenizer: with them a text can be opened.
    column
        As given to :func:`attnscope.profile`.
    heads
        ``[[layer, head], …]`` to start with; None for the head in which ``color_by`` is largest.
    **traits
        Any other trait below.

    Raises
    ------
    InputError
        When the profile is of another model.

    Examples
    --------
    >>> heads = profile(model, tokenizer, [text], progress=False)
    >>> widget = ProfileWidget(heads, column="previous_token")
    >>> widget.save("heads.html")
    """

    _esm = asset("profile.js")
    _css = asset("profile.css")

    _pack = t.Bytes().tag(sync=True)
    _opens = t.Bool().tag(sync=True)

    opened = anywidget.WidgetTrait().tag(sync=True)
    """The :class:`AttentionWidget` of the text that is open, or None. Opening another text closes it."""

    def __init__(
        self,
        profile: HeadProfile,
        *,
        texts: Any = None,
        model: Any = None,
        tokenizer: Any = None,
        column: str | None = None,
        heads: list[list[int]] | None = None,
        **traits: Any,
    ) -> None:
        if not isinstance(profile, HeadProfile):
            raise InputTypeError(
                f"ProfileWidget shows a HeadProfile, got {type(profile).__name__}. Make one with "
                "attnscope.profile(model, tokenizer, texts)."
            )
        refuse_unknown(traits)
        self._profile = profile
        self._texts = None if texts is None else Texts(texts, column=column, first=profile.settings.first)
        self._subject = None if model is None else _subject_of(profile, model, tokenizer)
        given: dict[str, Any] = {name: first_choice(profile, name) for name in ("color_by", "x", "y")} | traits
        if heads is None:
            heads = _strongest_head(profile, given["color_by"])
        state = {name: self.traits()[name].default() for name in PUBLIC} | given | {"heads": heads}
        super().__init__(
            _pack=pack_profile(profile, state, self._texts),
            _opens=self._subject is not None and self._texts is not None,
            _mark=uuid4().hex,
            heads=checked_heads(profile, heads),
            **given,
        )
        self.on_msg(self._on_message)

    def __repr__(self) -> str:
        return (
            f"ProfileWidget({self.profile!r}) - run this cell in a notebook to see it live, or save it with "
            ".save('page.html')"
        )

    @property
    def profile(self) -> HeadProfile:
        """The profile shown."""
        return self._profile

    @property
    def heads_shown(self) -> list[tuple[int, int]]:
        """The heads that ``ranges``, ``layer_range`` and ``role`` let through, as (layer, head)."""
        shown = np.argwhere(passing(self._profile, self._state()))
        return [(self._profile.layers[row], head) for row, head in shown.tolist()]

    def open_text(
        self, text: int, layer: int | None = None, head: int | None = None, *, statistic: str | None = None
    ) -> AttentionWidget:
        """Capture a text and open it, with a head selected.

        Parameters
        ----------
        text
            Its number, as in ``profile.strongest(...)`` and on screen.
        layer, head
            The head; None for the one selected last.
        statistic
            Of a text that was run in pieces, the piece in which the head shows most of this is opened.

        Returns
        -------
        AttentionWidget
            It is :attr:`opened` then, and shown in place of the heads.

        Raises
        ------
        InputError
            Without texts or a model, and for a text that cannot be captured.
        NotFoundError
            When there is no such text or head.
        """
        from attnscope.profiling.opening import capture_text

        if self._texts is None or self._subject is None:
            raise InputError(
                "Opening a text takes the texts and the model, which a profile does not keep: "
                "ProfileWidget(profile, texts=texts, model=model, tokenizer=tokenizer)."
            )
        if layer is None or head is None:
            layer, head = self.heads[-1] if self.heads else (self._profile.layers[0], 0)
        ((layer, head),) = checked_heads(self._profile, [[layer, head]])
        captured = capture_text(self._profile, self._subject, self._texts[text], statistic, layer, head)
        before = self.opened
        made = AttentionWidget(
            captured, kind=self._profile.kind, heads=[[layer, head]], theme=self.theme, height=self.height,
            model=self._subject.load().model, tokenizer=self._subject.load().tokenizer,
        )  # fmt: skip
        self.opened = made
        if before is not None:
            before.close()
        return made

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write what is on screen to a file; the suffix decides.

        Parameters
        ----------
        path
            ``.html`` for one interactive page that opens from disk with no network, with all statistics and, where the
            texts are known, the beginnings of those that are listed; ``.png`` or ``.svg`` for a picture.
        """
        from attnscope.export.profile import save

        save(self._profile, self._state(), path, self._texts)

    def close(self) -> None:
        """Close the widget, and the text that is open."""
        if self.comm is not None and self.opened is not None:
            self.opened.close()
        super().close()

    def _pictures(self) -> dict[str, str]:
        from attnscope.export.profile import static_bundle

        return {"text/plain": repr(self), **static_bundle(self._profile, self._state(), self._mark)}

    def _stand_in(self) -> str:
        from attnscope.export.profile import stand_in

        return stand_in(self._profile, self._state(), self._mark, self._texts)

    def _state(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in PUBLIC}

    def _draw(self, state: Mapping[str, Any]) -> str:
        from attnscope.export.profile import svg

        return svg(self._profile, state)

    def _open_for_page(self, text: int, statistic: str | None, layer: int, head: int) -> None:
        self.open_text(text, layer, head, statistic=statistic)

    def _on_message(self, _widget: Any, content: Any, _buffers: Any) -> None:
        if not isinstance(content, dict) or content.get("type") == "cancel":
            return
        if content.get("type") == "close":
            self._shut()
            return
        shown = Shown(self._profile, self._texts, self._draw, self._open_for_page)
        reply, buffers = answer_profile(shown, content)
        if self.comm is not None:
            self.send(reply, buffers)

    def _shut(self) -> None:
        before, self.opened = self.opened, None
        if before is not None:
            before.close()


def _subject_of(profile: HeadProfile, model: Any, tokenizer: Any) -> Subject:
    from attnscope.profiling.opening import require_model_of

    return require_model_of(profile, model, tokenizer)


def _strongest_head(profile: HeadProfile, color_by: str) -> list[list[int]]:
    if color_by not in profile.statistics:
        color_by = first_choice(profile, "color_by")
    values = profile.mean(color_by)
    row, head = np.unravel_index(int(np.nanargmax(values)), values.shape)
    return [[profile.layers[int(row)], int(head)]]
