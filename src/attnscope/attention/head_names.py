"""Names that heads have of their own, beside their numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attnscope.errors import InputError, InputTypeError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def require_names(names: Mapping[int, Sequence[str]], heads: Mapping[int, int]) -> None:
    """Refuse names that are not one per head, or do not tell heads apart.

    Parameters
    ----------
    names
        Per layer, one name per head.
    heads
        Per layer, how many heads it has.
    """
    if set(names) != set(heads):
        raise InputError(f"Names are given for the heads of layers {list(names)}, but there are layers {list(heads)}.")
    for layer, count in heads.items():
        wrong = next((name for name in names[layer] if not isinstance(name, str) or not name.strip()), None)
        if wrong is not None:
            raise InputTypeError(f"A head's name is a text, got {wrong!r} in layer {layer}.")
        if len(names[layer]) != count:
            raise InputError(f"There are {len(names[layer])} names for the {count} heads of layer {layer}.")
    every = [name for layer in names.values() for name in layer]
    if len(set(every)) < len(every):
        doubled = next(name for name in every if every.count(name) > 1)
        raise InputError(f"Two heads have the name {doubled!r}; names tell heads apart.")
