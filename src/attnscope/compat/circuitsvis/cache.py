"""``from_cache``: the attention in a cache of TransformerLens, as the fork of CircuitsVis used in teaching shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from attnscope.attention.given import layer_arrays
from attnscope.compat.circuitsvis.rendered import Rendered, joined
from attnscope.compat.one_kind import self_attention, title_of
from attnscope.compat.showing import require_few, theme_of
from attnscope.compat.tokens import tokens_by_input
from attnscope.compat.weights import weights_by_input
from attnscope.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

VIEWS = {"large": "grid", "small": "text", "lines": "links"}
"""By ``mode``."""


def from_cache(
    cache: Any,
    tokens: Any,
    heads: Sequence[tuple[int, int]] | None = None,
    layers: int | Sequence[int] | None = None,
    batch_idx: int | Sequence[int] | slice | None = None,
    attention_type: str = "standard",
    mode: str = "large",
    radioitems: bool = False,
    batch_labels: Sequence[str] | None = None,
    return_mode: str = "html",
    help: bool = False,  # noqa: A002 - the name in the signature that is kept
    title: str | None = None,
    display_mode: str = "dark",
    head_notation: str = "dot",
) -> Any:
    """Show the attention in a cache of TransformerLens.

    Parameters
    ----------
    cache
        An ``ActivationCache``, or another mapping with such names.
    tokens
        One string per position; with several inputs, one list per input.
    heads
        ``(layer, head)`` pairs to select.
    layers
        Layers to keep, under their own numbers; negative ones count from the end.
    batch_idx
        Inputs to show; None for all.
    attention_type
        Only ``"standard"``. What value- and norm-weighting need is not read from a cache.
    mode
        ``"large"`` opens the grid of heads, ``"small"`` the text view, ``"lines"`` the links; the others are a click
        away.
    radioitems, help, head_notation
        Taken for the sake of the signature.
    batch_labels, title
        Titles of the inputs, or of all.
    return_mode
        ``"html"`` gives the widget, whose ``str()`` is a whole page; ``"view"`` displays it.
    display_mode
        ``"dark"`` or ``"light"``.

    Examples
    --------
    >>> from attnscope.compat.circuitsvis.attention import from_cache
    >>> cache = {f"blocks.{i}.attn.hook_pattern": c.weights(i) for i in range(2)}
    >>> shown = from_cache(cache, c.tokens, heads=[(1, 0)])
    """
    del radioitems, help, head_notation
    _require(attention_type, mode, return_mode)
    theme = theme_of(display_mode)
    inputs = weights_by_input(_kept(layer_arrays(cache), layers), "cache")
    texts = tokens_by_input(tokens, "tokens", len(inputs), "cache")
    chosen = _chosen(len(inputs), batch_idx)
    require_few(len(chosen), "cache")
    selected = None if heads is None else [[int(layer), int(head)] for layer, head in heads]
    shown = []
    for number in chosen:
        name = title or (batch_labels[number] if batch_labels else title_of(number, len(inputs)))
        capture = self_attention(inputs[number], texts[number], "cache", str(name), padded=len(inputs) > 1)
        shown.append(Rendered(capture, view=VIEWS[mode], theme=theme, heads=selected))
    if return_mode == "html":
        return joined(shown)
    from IPython.display import display

    for one in shown:
        display(one)  # type: ignore[no-untyped-call]  # IPython has no types
    return None


def _require(attention_type: str, mode: str, return_mode: str) -> None:
    if attention_type != "standard":
        raise InputError(
            f"attention_type {attention_type!r} is not read from a cache, only 'standard'. Capture the model instead: "
            "attnscope.AttentionWidget(attnscope.capture(model, tokenizer, text, values=True), "
            'measure="value_weighted").'
        )
    if mode not in VIEWS:
        raise InputError(f"mode is {', '.join(map(repr, VIEWS))}, got {mode!r}.")
    if return_mode not in ("html", "view"):
        raise InputError(
            f"return_mode is 'html' or 'view', got {return_mode!r}. For a browser, write the page to a file: "
            "shown.save('page.html')."
        )


def _kept(arrays: Sequence[Any], layers: int | Sequence[int] | None) -> list[Any]:
    """Keep some layers, None in the place of the others."""
    if layers is None:
        return list(arrays)
    wanted = [int(number) for number in np.atleast_1d(np.asarray(layers))]
    outside = [number for number in wanted if not -len(arrays) <= number < len(arrays)]
    if outside:
        raise InputError(f"layers names {outside}; the cache has layers 0 to {len(arrays) - 1}.")
    kept = {number % len(arrays) for number in wanted}
    return [array if number in kept else None for number, array in enumerate(arrays)]


def _chosen(count: int, batch_idx: int | Sequence[int] | slice | None) -> list[int]:
    """Give the numbers of the inputs to show."""
    numbers = np.arange(count)
    try:
        return [int(number) for number in np.atleast_1d(numbers[slice(None) if batch_idx is None else batch_idx])]
    except IndexError:
        raise InputError(f"batch_idx is {batch_idx!r}; the cache holds {count} inputs, counted from 0.") from None
