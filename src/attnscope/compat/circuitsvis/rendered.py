"""The live widget, with the ways CircuitsVis's results can be turned into HTML."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attnscope.compat.page import document, frame, page_of
from attnscope.widget.widget import AttentionWidget

if TYPE_CHECKING:
    from collections.abc import Sequence


class Rendered(AttentionWidget):
    """An :class:`~attnscope.AttentionWidget` that is also HTML.

    ``str(shown)`` and ``show_code()`` give a whole page, complete without network. A notebook shows the live widget;
    whatever asks for ``_repr_html_`` or ``__html__`` gets the page in a frame.
    """

    def show_code(self) -> str:
        """Give the whole page."""
        return document(self)

    def __str__(self) -> str:
        return document(self)

    def _repr_html_(self) -> str:
        return frame(self)

    def __html__(self) -> str:
        return frame(self)


class SeveralRendered(list[Rendered]):
    """One display per input, shown below each other."""

    def show_code(self) -> str:
        """Give one page with all of them."""
        return str(page_of(self).data)

    def __str__(self) -> str:
        return self.show_code()

    def _repr_html_(self) -> str:
        return page_of(self)._repr_html_()

    def __html__(self) -> str:
        return self._repr_html_()

    def _ipython_display_(self) -> None:
        from IPython.display import display

        for shown in self:
            display(shown)  # type: ignore[no-untyped-call]  # IPython has no types


def joined(shown: Sequence[Rendered]) -> Any:
    """Give the only display, or all of them as one."""
    return shown[0] if len(shown) == 1 else SeveralRendered(shown)
