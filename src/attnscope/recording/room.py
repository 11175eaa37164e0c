"""Whether what a pass would keep fits in memory, asked before it runs."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from attnscope.errors import TooLargeError

if TYPE_CHECKING:
    from collections.abc import Collection

ASKED_BYTES = 1 << 28
"""Captures that take less are not asked about."""


def kept_bytes(model: Any, n_tokens: int, batch: int, layers: Collection[int] | None, *, values: bool) -> int | None:
    """Bytes of the queries and keys of a pass, by the model's config; None where that does not say.

    Parameters
    ----------
    model
        The model.
    n_tokens, batch
        Tokens of each input, padding included, and inputs.
    layers
        The layers to keep; None for all.
    values
        Whether values are kept too, and with them the residual stream and the output projections.
    """
    config = getattr(model, "config", None)
    if config is None:
        return None
    config = config.get_text_config() if hasattr(config, "get_text_config") else config
    depth, heads, width = (
        getattr(config, name, None) for name in ("num_hidden_layers", "num_attention_heads", "hidden_size")
    )
    if not all(isinstance(number, int) and number > 0 for number in (depth, heads, width)):
        return None
    assert depth is not None
    assert heads is not None
    assert width is not None
    key_heads = getattr(config, "num_key_value_heads", None) or heads
    head_width = getattr(config, "head_dim", None) or width // heads
    n_layers = depth if layers is None else len(set(layers) & set(range(depth)))
    vectors = heads + key_heads * (2 if values else 1)
    size = getattr(getattr(model, "dtype", None), "itemsize", 4)
    stream = width * (batch * n_tokens + heads * head_width) if values else 0
    return int(n_layers * (batch * n_tokens * vectors * head_width + stream) * size)


def require_room(model: Any, n_tokens: int, batch: int, layers: Collection[int] | None, *, values: bool) -> None:
    """Refuse a pass whose queries and keys would not fit in the memory that is free.

    Raises
    ------
    TooLargeError
        With how much it would take, and what to capture instead.
    """
    needed = kept_bytes(model, n_tokens, batch, layers, values=values)
    free = free_bytes()
    if needed is None or free is None or needed < ASKED_BYTES or needed <= free:
        return
    each = needed / max(len(layers) if layers is not None else model.config.get_text_config().num_hidden_layers, 1)
    fitting = int(free * 0.8 // each)
    some = f"layers=range({fitting}) would fit" if fitting else "not even one layer fits: shorten the text"
    without = " values=False takes less." if values else ""
    raise TooLargeError(
        f"Queries and keys of {n_tokens} tokens would take {needed / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free. "
        f"Capture some of the layers: {some}.{without}"
    )


def free_bytes() -> int | None:
    """Memory that is free; None where the system does not say."""
    if not hasattr(os, "sysconf") or "SC_AVPHYS_PAGES" not in os.sysconf_names:
        return None
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
