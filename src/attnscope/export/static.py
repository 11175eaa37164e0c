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


def static_bundle(capture: Capture, state: Mapping[str, Any]) -> dict[str, str]:
    """Give the layers that stand beside the live view: ``image/png`` and ``text/html``, on a light background.

    The picture inside ``text/html`` is drawn by the reader's browser, which keeps it sharp and small; as an image it
    can hold nothing that runs.
    """
    view = {**shown(state, nearest=True), "theme": "light"}
    drawing = base64.b64encode(picture.svg(capture, **view).encode()).decode("ascii")
    said = {name: value for name, value in view.items() if name not in ("threshold", "color_scale", "theme")}
    words = html.escape(picture.alt_text(capture, **said), quote=True)
    return {
        "image/png": base64.b64encode(picture.png(capture, **view, scale=SCALE)).decode("ascii"),
        "text/html": f'<img src="data:image/svg+xml;base64,{drawing}" alt="{words}" style="max-width:100%">',
    }
