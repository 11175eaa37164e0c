"""What CircuitsVis shows that is not about attention: its own, where it is installed."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from attnscope.errors import MissingPackageError

if TYPE_CHECKING:
    from collections.abc import Callable


def theirs(module: str) -> Callable[[str], Any]:
    """Give a module's ``__getattr__`` that hands on a module of CircuitsVis.

    Raises
    ------
    MissingPackageError
        Where it is not installed, once something is asked for.
    """

    def get(name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(f"module 'attnscope.compat.circuitsvis.{module}' has no attribute {name!r}")
        try:
            return getattr(import_module(f"circuitsvis.{module}"), name)
        except ModuleNotFoundError as error:
            raise MissingPackageError(
                f"circuitsvis.{module} is not about attention, and attnscope has no view of its own for it. With "
                "CircuitsVis installed this name gives theirs: pip install circuitsvis."
            ) from error

    return get
