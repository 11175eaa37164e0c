"""The errors attnscope raises; each says what was wrong, what was expected and what to do."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection


class AttnscopeError(Exception):
    """Base of every error attnscope raises on purpose."""


class AttnscopeWarning(UserWarning):
    """Something was left out; the message says what and why."""


class InputError(AttnscopeError, ValueError):
    """What was handed in has a wrong value, shape or length."""


class InputTypeError(AttnscopeError, TypeError):
    """What was handed in is of a kind attnscope cannot use."""


class NotFoundError(AttnscopeError, IndexError):
    """There is no such layer, head, token, position or kind of attention."""


class ModelError(AttnscopeError, ValueError):
    """The model cannot be captured; the message gives the reason and the remedy."""


class NoAttentionError(ModelError):
    """The model ran, but nothing in it computes attention that can be captured."""


class UnverifiedError(ModelError):
    """The recomputed attention does not reproduce the model's own output."""


class FileError(AttnscopeError, ValueError):
    """A file is damaged, of another kind, or written by a newer version."""


class WriteError(AttnscopeError, OSError):
    """A file cannot be written where it was to be, or not to its end."""


class TooLargeError(AttnscopeError, MemoryError):
    """The answer would not fit in memory; the message says what to call instead."""


class MissingPackageError(AttnscopeError, ImportError):
    """An optional package is needed; the message gives the install command."""


def meant(wanted: str, known: Collection[str], they_are: str = "There are") -> str:
    """Say which of the known names was probably meant, or else which there are: the end of a refusal."""
    near = difflib.get_close_matches(wanted, known, n=1)
    return f"Did you mean {near[0]!r}?" if near else f"{they_are} {', '.join(known)}."
