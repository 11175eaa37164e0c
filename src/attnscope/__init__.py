"""attnscope shows what a transformer's attention heads look at, and answers questions about it from Python.

>>> from attnscope import capture, AttentionWidget                              # doctest: +SKIP
>>> AttentionWidget(capture(model, tokenizer, "The cat sat because it was tired."))   # doctest: +SKIP

Names are loaded when they are first used: importing attnscope imports neither torch nor transformers.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from attnscope import analysis as analysis
    from attnscope import errors as errors
    from attnscope import plot as plot
    from attnscope.attention.capture import Attention as Attention
    from attnscope.attention.capture import Capture as Capture
    from attnscope.attention.given import from_attentions as from_attentions
    from attnscope.attention.given import from_queries_keys as from_queries_keys
    from attnscope.attention.kept import limit_cache as limit_cache
    from attnscope.attention.logprobs import TokenLogprobs as TokenLogprobs
    from attnscope.attention.responses import from_logprobs as from_logprobs
    from attnscope.attention.storage import load as load
    from attnscope.attention.tokens import Tokens as Tokens
    from attnscope.errors import AttnscopeError as AttnscopeError
    from attnscope.profiling.head_profile import HeadProfile as HeadProfile
    from attnscope.profiling.profile import profile as profile
    from attnscope.recording.capture import capture as capture
    from attnscope.recording.diffusion.recorder import record_diffusion as record_diffusion
    from attnscope.recording.logprobs import logprobs as logprobs
    from attnscope.recording.recorder import record as record
    from attnscope.widget.logprobs_widget import LogprobsWidget as LogprobsWidget
    from attnscope.widget.profile_widget import ProfileWidget as ProfileWidget
    from attnscope.widget.widget import AttentionWidget as AttentionWidget

__version__ = version("attnscope")

_HOMES = {
    "Attention": "attnscope.attention.capture",
    "AttentionWidget": "attnscope.widget.widget",
    "AttnscopeError": "attnscope.errors",
    "Capture": "attnscope.attention.capture",
    "HeadProfile": "attnscope.profiling.head_profile",
    "LogprobsWidget": "attnscope.widget.logprobs_widget",
    "ProfileWidget": "attnscope.widget.profile_widget",
    "TokenLogprobs": "attnscope.attention.logprobs",
    "Tokens": "attnscope.attention.tokens",
    "capture": "attnscope.recording.capture",
    "from_attentions": "attnscope.attention.given",
    "from_logprobs": "attnscope.attention.responses",
    "from_queries_keys": "attnscope.attention.given",
    "limit_cache": "attnscope.attention.kept",
    "load": "attnscope.attention.storage",
    "logprobs": "attnscope.recording.logprobs",
    "profile": "attnscope.profiling.profile",
    "record": "attnscope.recording.recorder",
    "record_diffusion": "attnscope.recording.diffusion.recorder",
}
_ROOMS = ("analysis", "errors")
_MORE_ROOMS = ("plot",)
"""Rooms that need a package of an extra, so that a star import does not ask for them."""

__all__ = [*_HOMES, *_ROOMS]


def __getattr__(name: str) -> Any:
    if name in (*_ROOMS, *_MORE_ROOMS):
        return import_module(f"attnscope.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module 'attnscope' has no attribute {name!r}")
    try:
        value = getattr(import_module(_HOMES[name]), name)
    except ModuleNotFoundError as error:
        if error.name not in ("torch", "transformers"):
            raise
        from attnscope.errors import MissingPackageError

        raise MissingPackageError(
            f"attnscope.{name} runs models and needs {error.name}, which is not installed. "
            'Install it with: pip install "attnscope[transformers]".'
        ) from error
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__, *_MORE_ROOMS])
