"""The errors attnscope raises; each says what was wrong, what was expected and what to do."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection


class AttnscopeError(Exception):
    """Base of every error attnscope raises on purpose.

    Examples
    --------
    >>> try:
    ...     c.weights(7)
    ... except AttnscopeError as error:
    ...     print(error)
    There is no self attention in layer 7: the layers are 0 to 1.
    """


class AttnscopeWarning(UserWarning):
    """Something was left out; the message says what and why.

    Examples
    --------
    >>> import warnings
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("error", attnscope.errors.AttnscopeWarning)
    ...     c.weights(0, 0).shape
    (17, 17)
    """


class InputError(AttnscopeError, ValueError):
    """What was handed in has a wrong value, shape or length.

    Examples
    --------
    >>> analysis.find_heads(c, "cat", "the", k=0)
    Traceback (most recent call last):
        ...
    attnscope.errors.InputError: k is the number of heads to give, 1 or more; got 0.
    """


class InputTypeError(AttnscopeError, TypeError):
    """What was handed in is of a kind attnscope cannot use.

    Examples
    --------
    >>> capture("bert-base-uncased", tokenizer, text)
    Traceback (most recent call last):
        ...
    attnscope.errors.InputTypeError: Expected a PyTorch model (a transformers model, or any...
    """


class NotFoundError(AttnscopeError, IndexError):
    """There is no such layer, head, token, position or kind of attention.

    Examples
    --------
    >>> c.find("brid")
    Traceback (most recent call last):
        ...
    attnscope.errors.NotFoundError: There is no token or word 'brid'. Near matches: 'bird', 'red'.
    """


class ModelError(AttnscopeError, ValueError):
    """The model cannot be captured; the message gives the reason and the remedy.

    Examples
    --------
    >>> dropping = torch.nn.TransformerEncoderLayer(8, 2).train()
    >>> with record(dropping):
    ...     pass
    Traceback (most recent call last):
        ...
    attnscope.errors.ModelError: TransformerEncoderLayer is in training mode, where dropout (self_attn)...
    """


class NoAttentionError(ModelError):
    """The model ran, but nothing in it computes attention that can be captured.

    Examples
    --------
    >>> linear = torch.nn.Linear(2, 2).eval()
    >>> with record(linear) as recording:
    ...     _ = linear(torch.ones(1, 2))
    >>> recording.capture()
    Traceback (most recent call last):
        ...
    attnscope.errors.NoAttentionError: No attention was recorded, though Linear ran. Either it has no...
    """


class UnverifiedError(ModelError):
    """The recomputed attention does not reproduce the model's own output.

    Examples
    --------
    >>> try:
    ...     c = capture(model, tokenizer, text)
    ... except attnscope.errors.UnverifiedError as error:
    ...     print(error)
    >>> max(c["self"].check.values()) < 1e-5
    True
    """


class FileError(AttnscopeError, ValueError):
    """A file is damaged, of another kind, or written by a newer version.

    Examples
    --------
    >>> _ = open("notes.safetensors", "w").write("no capture")
    >>> attnscope.load("notes.safetensors")
    Traceback (most recent call last):
        ...
    attnscope.errors.FileError: notes.safetensors is damaged or cut short (Error while deserializing...
    """


class WriteError(AttnscopeError, OSError):
    """A file cannot be written where it was to be, or not to its end.

    Examples
    --------
    >>> capture(model, tokenizer, text, path="no/such/folder/bird.safetensors")
    Traceback (most recent call last):
        ...
    attnscope.errors.WriteError: Nothing can be written to 'no/such/folder/bird.safetensors': No such...
    """


class TooLargeError(AttnscopeError, MemoryError):
    """The answer would not fit in memory; the message says what to call instead.

    Examples
    --------
    >>> long = from_queries_keys([np.zeros((1, 500_000, 1))], [np.zeros((1, 500_000, 1))], ["a"] * 500_000)
    >>> long.weights(0, 0)
    Traceback (most recent call last):
        ...
    attnscope.errors.TooLargeError: The weights of 1 head, 500,000 queries and 500,000 keys would take...
    """


class MissingPackageError(AttnscopeError, ImportError):
    """An optional package is needed; the message gives the install command.

    Examples
    --------
    >>> try:
    ...     import attnscope.plot
    ... except attnscope.errors.MissingPackageError as error:
    ...     print(error)
    """


def meant(wanted: str, known: Collection[str], they_are: str = "There are") -> str:
    """Say which of the known names was probably meant, or else which there are: the end of a refusal."""
    near = difflib.get_close_matches(wanted, known, n=1)
    return f"Did you mean {near[0]!r}?" if near else f"{they_are} {', '.join(known)}."
