"""What a reader without widgets sees: a picture of the view, with words for those who cannot see it."""

from __future__ import annotations

import base64
import html
from typing import TYPE_CHECKING, Any

from attnscope.export import picture
from attnscope.export.save import shown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from attnscope.attention.capture import Capture

SCALE = 1.5


def static_bundle(capture: Capture, state: Mapping[str, Any], other: Capture | None = None) -> dict[str, str]:
    """Give the layers that stand beside the live view: ``image/png`` and ``text/html``, on a light background.

    The picture inside ``text/html`` is drawn by the reader's browser, which keeps it sharp and small; as an image it
    can hold nothing that runs.

    Parameters
    ----------
    capture
        What is shown.
    state
        The public traits.
    other
        What it is compared with.
    """
    view = {**shown(capture, state, other), "theme": "light"}
    drawing = base64.b64encode(picture.svg(capture, compare=other, **view).encode()).decode("ascii")
    words = html.escape(picture.alt_text(capture, compare=other, **view), quote=True)
    png = picture.png(capture, compare=other, **view, scale=SCALE)
    return {
        "image/png": base64.b64encode(png).decode("ascii"),
        "text/html": f'<img src="data:image/svg+xml;base64,{drawing}" alt="{words}" style="max-width:100%">',
    }
