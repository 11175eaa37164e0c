"""CircuitsVis's calls about attention: the same arguments, shown by attnscope.

Works like version 1.43.3 of CircuitsVis, except that a batch shows every input, tokens and weights must match, and the
shown part is seen from the weights. What is not about attention (``tokens``, ``activations``, ``logits`` …) is
CircuitsVis's own, where that is installed.
"""

from importlib import import_module
from typing import Any

from attnscope.compat.circuitsvis import attention
from attnscope.errors import MissingPackageError

__all__ = ["attention"]

OTHERS = ("activations", "examples", "logits", "tokens", "topk_samples", "topk_tokens")
"""Modules of CircuitsVis that are not about attention."""


def __getattr__(name: str) -> Any:
    if name not in OTHERS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return import_module(f"circuitsvis.{name}")
    except ModuleNotFoundError as error:
        raise MissingPackageError(
            f"circuitsvis.{name} is not about attention, and attnscope has no view of its own for it. With CircuitsVis "
            "installed this name gives theirs: pip install circuitsvis."
        ) from error
