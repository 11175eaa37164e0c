"""The files the command reads and writes, looked at before a model runs."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from attnscope.errors import InputError
from attnscope.export.html import GENERATOR

START = 4096
"""Bytes of a page in which it says what wrote it."""


def read_text(path: str) -> str:
    """Read a text, without the line break at its end.

    Parameters
    ----------
    path
        A file in UTF-8; ``"-"`` for stdin.

    Raises
    ------
    InputError
        When it cannot be read, or is no UTF-8.
    """
    try:
        content = sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
        text = content.decode("utf-8-sig")
    except OSError as error:
        raise InputError(f"Cannot read the text {path!r}: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise InputError(
            f"Cannot read the text {path!r}: byte {error.start} is no UTF-8. Save the file as UTF-8 first."
        ) from error
    return text.replace("\r\n", "\n").removesuffix("\n")


def checked_output(given: str, suffixes: tuple[str, ...], *, force: bool) -> Path:
    """Give the path a file can be written to.

    Parameters
    ----------
    given
        The path.
    suffixes
        Suffixes it may have.
    force
        Whether a file that is there may be replaced; a page that attnscope wrote is replaced anyway.

    Raises
    ------
    InputError
        For another suffix, a folder that is not there or may not be written, and a file that would be lost.
    """
    path = Path(given).expanduser()
    if path.suffix.lower() not in suffixes:
        other = "picture" if path.suffix.lower() in (".svg", ".png") else "page" if path.suffix == ".html" else ""
        hint = f" For that there is attnscope {other}." if other else ""
        raise InputError(f"The output {given!r} must end in {' or '.join(suffixes)}.{hint}")
    if path.is_dir():
        raise InputError(f"The output {given!r} is a folder. Name a file in it.")
    folder = path.parent
    if not folder.is_dir():
        raise InputError(f"Cannot write {given!r}: there is no folder {str(folder)!r}. Make it first.")
    if not os.access(path if path.exists() else folder, os.W_OK):
        raise InputError(f"Cannot write {given!r}: permission denied. Choose another place with -o.")
    if path.exists() and not force and not _is_ours(path):
        raise InputError(f"{given!r} is there already, and attnscope page did not write it. --force replaces it.")
    return path


def _is_ours(path: Path) -> bool:
    with path.open("rb") as file:
        return path.suffix.lower() == ".html" and GENERATOR.encode() in file.read(START)
