"""A view as one piece of HTML: to be written to a file, or shown inside another page."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

from IPython.display import HTML

from attnscope.export.html import page
from attnscope.widget.traits import PUBLIC

if TYPE_CHECKING:
    from collections.abc import Sequence

    from attnscope.widget.widget import AttentionWidget

_FRAME = (
    '<iframe title="{title}" sandbox="allow-scripts allow-downloads" srcdoc="{page}" '
    'style="display:block;width:100%;height:{height}px;border:0"></iframe>'
)
_SEVERAL = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>attnscope</title>
</head>
<body style="margin:0">
{frames}
</body>
</html>
"""


class Page(HTML):
    """A page that IPython shows in a frame.

    ``data`` is a whole document: interactive, complete and without network once it is written to a file.

    Parameters
    ----------
    data
        The document.
    frames
        What shows it inside another page.
    """

    def __init__(self, data: str, frames: str) -> None:
        super().__init__(data)  # type: ignore[no-untyped-call]
        self._frames = frames

    def _repr_html_(self) -> str:
        return self._frames


def document(widget: AttentionWidget) -> str:
    """Write a widget as one page that holds the whole capture."""
    return page(widget.capture, {name: getattr(widget, name) for name in PUBLIC}, widget.compared)


def frame(widget: AttentionWidget) -> str:
    """Write a widget as a frame around its page, which no style or script of the page around it reaches."""
    title = f"Attention: {widget.capture.model_name}" if widget.capture.model_name else "Attention"
    return _FRAME.format(title=html.escape(title), page=html.escape(document(widget)), height=widget.height)


def page_of(widgets: Sequence[AttentionWidget]) -> Page:
    """Write one or several widgets as one page, below each other."""
    frames = "\n".join(map(frame, widgets))
    return Page(document(widgets[0]) if len(widgets) == 1 else _SEVERAL.format(frames=frames), frames)
