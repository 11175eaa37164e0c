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

SCALE = 2


def static_bundle(capture: Capture, state: Mapping[str, Any]) -> dict[str, str]:
    """Give the layers that stand beside the live view: ``image/png`` and ``text/html``, on a light background."""
    view = {**shown(state), "theme": "light"}
    encoded = base64.b64encode(picture.png(capture, **view, scale=SCALE)).decode("ascii")
    words = html.escape(picture.alt_text(capture, **view), quote=True)
    return {
        "image/png": encoded,
        "text/html": f'<img src="data:image/png;base64,{encoded}" alt="{words}" style="max-width:100%">',
    }
