"""Which file is written, by its suffix."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from attnscope.errors import InputError

if TYPE_CHECKING:
    import os
    from collections.abc import Callable


def write(
    path: str | os.PathLike[str], *, html: Callable[[], str], svg: Callable[[], str], png: Callable[[], bytes]
) -> None:
    """Write a page to ``.html``, or a picture to ``.svg`` or ``.png``; only what is written is made.

    Raises
    ------
    InputError
        For another suffix.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix == ".html":
        content = html().encode()
    elif suffix == ".svg":
        content = svg().encode()
    elif suffix == ".png":
        content = png()
    else:
        raise InputError(f"Cannot write {path.name!r}: the suffix decides what is written, .html, .png or .svg.")
    path.write_bytes(content)
