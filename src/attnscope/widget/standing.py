"""What every widget leaves beside its live view: a picture, and a page for the day the view cannot be had."""

from __future__ import annotations

from typing import Any

import anywidget
import traitlets as t

from attnscope.widget.cell_end import at_cell_end


class StandingWidget(anywidget.AnyWidget):
    """A widget that a reader without live views sees too."""

    _mark = t.Unicode().tag(sync=True)
    """By which its stand-in finds it in a page."""

    _has_stand_in = False

    def _pictures(self) -> dict[str, str]:
        """Give the layers that stand beside the live view, by MIME type."""
        raise NotImplementedError

    def _stand_in(self) -> str:
        """Give the HTML that stands beside the live view for the day it cannot be had."""
        raise NotImplementedError

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        bundle = super()._repr_mimebundle_(**kwargs)
        if bundle is None:
            return None
        if not self._has_stand_in:
            self._has_stand_in = True
            at_cell_end(self._end_cell)
        data, metadata = bundle
        return {**data, **self._pictures()}, metadata

    def _end_cell(self, is_watched: bool) -> None:  # noqa: ARG002 - for widgets that have something to store
        """Show the stand-in when the cell has run; told whether a reader waits at a page."""
        from IPython.display import display

        self._has_stand_in = False
        if self.comm is not None:
            display({"text/html": self._stand_in()}, raw=True)  # type: ignore[no-untyped-call]  # IPython has no types
