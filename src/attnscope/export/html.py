"""One interactive HTML page: the same views over the page's own data, from disk, with no network."""

from __future__ import annotations

import base64
import hashlib
import html
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from attnscope.errors import TooLargeError
from attnscope.wire.assets import asset
from attnscope.wire.budget import PATIENT, compressed, compressed_within, work
from attnscope.wire.plan import everything, size_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from attnscope.attention.capture import Capture

GENERATOR = '<meta name="generator" content="attnscope'
"""Stands near the start of every page."""

_NOTHING = "default-src 'none'; base-uri 'none'; form-action 'none'"
_FRAME = "html,body{height:100%;margin:0}"
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
{generator} {version}">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<main id="attnscope-root"></main>
<script type="application/octet-stream" id="attnscope-data">{data}</script>
<script>{script}</script>
</body>
</html>
"""


MOST_PAGE = 400_000_000
"""Most characters of data in one page; browsers hold about 500 million in one piece."""


def page(
    capture: Capture, state: Mapping[str, Any], other: Capture | None = None, *, megabytes: float | None = None
) -> str:
    """Make one page that holds the whole capture, or what there is room for.

    Parameters
    ----------
    capture
        The capture; all layers, heads and tokens are stored, exact or with the error the page states.
    state
        The public traits to start with.
    other
        The capture it is compared with, if any; it is stored whole too.
    megabytes
        Room for data, in units of 10⁶ characters: what is selected is stored first, then what else fits, and the page
        says what is not. None for all of it.

    Returns
    -------
    str
        HTML with its script, style and data inside, and a content policy that allows nothing else.

    Raises
    ------
    TooLargeError
        When a browser could not open a page of all of it, or there is no room for even one head.
    """
    if megabytes is None:
        whole = 4 / 3 * sum(size_of(one, everything(one)) for one in (capture, other) if one is not None)
        if whole > MOST_PAGE:
            raise TooLargeError(
                f"One page of all of this would hold about {whole / 1e9:.1f} GB, and browsers open at most about "
                f"{MOST_PAGE / 1e9:.1f} GB. For the selected heads and what else fits, say how much: "
                "save(path, megabytes=100). The capture itself is kept by capture.save('….safetensors'), and a picture "
                "by save('….png')."
            )
        return page_of(compressed(capture, state, other), capture.model_name)
    judged = work(capture) <= PATIENT
    packed = compressed_within(capture, state, other, megabytes=min(megabytes, MOST_PAGE / 1e6), judged=judged)
    if packed is None:
        raise TooLargeError(f"In {megabytes} MB there is no room for even one head of this. Give more, or a picture.")
    return page_of(packed.data, capture.model_name)


def page_of(data: bytes, model_name: str, files: tuple[str, str] = ("host.js", "widget.css")) -> str:
    """Make one page of a compressed pack, and the script and the style that show it."""
    script, style = inline(files[0]), _FRAME + inline(files[1])
    policy = f"{_NOTHING}; script-src {_hash(script)}; style-src {_hash(style)}"
    title = " · ".join(filter(None, ["attnscope", model_name]))
    return _PAGE.format(
        policy=policy,
        generator=GENERATOR,
        version=version("attnscope"),
        title=html.escape(title),
        style=style,
        data=base64.b64encode(data).decode("ascii"),
        script=script,
    )


def inline(name: str) -> str:
    """Read a file of the built page, safe to stand inside a script or style element."""
    text = asset(name).read_text(encoding="utf-8")
    return text.replace("</script", "<\\/script").replace("</style", "<\\/style")


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode('ascii')}'"
