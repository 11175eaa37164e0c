"""The models BertViz carries copies of, from transformers itself, as ``neuron_view`` here takes any of its models."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from attnscope.errors import MissingPackageError


def __getattr__(name: str) -> Any:
    if name.startswith("_"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(import_module("transformers"), name)
    except ModuleNotFoundError as error:
        raise MissingPackageError(
            f"{name} comes from transformers, which is not installed: pip install 'attnscope[transformers]'."
        ) from error
