"""Where the built page lies."""

from __future__ import annotations

from pathlib import Path

from attnscope.errors import MissingPackageError

_STATIC = Path(__file__).parent.parent / "static"


def asset(name: str) -> Path:
    """Give the path of a file of the built page.

    Raises
    ------
    MissingPackageError
        In a checkout whose page was not built.
    """
    path = _STATIC / name
    if not path.is_file():
        raise MissingPackageError(
            f"The built page is missing ({name}). In a checkout, build it with: cd js && npm ci && npm run build."
        )
    return path
