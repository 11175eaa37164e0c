"""Whether what a pass would keep fits in memory, asked before it runs."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

from attnscope.attention.memory import free_bytes
from attnscope.errors import TooLargeError

if TYPE_CHECKING:
    from collections.abc import Collection

    import torch

    from attnscope.recording.collect.keeping import Keeping

ASKED_BYTES = 1 << 28
"""Captures that take less are not asked about."""


def kept_bytes(
    model: Any,
    n_tokens: int,
    batch: int,
    layers: Collection[int] | None,
    *,
    values: bool,
    dtype: torch.dtype | None = None,
) -> int | None:
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
    dtype
        What queries, keys and values are kept in; None for the model's own.
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
    own = getattr(getattr(model, "dtype", None), "itemsize", 4)
    size = own if dtype is None else dtype.itemsize
    stream = width * (batch * n_tokens + heads * head_width) if values else 0
    return int(n_layers * (batch * n_tokens * vectors * head_width * size + stream * own))


def require_room(
    model: Any, n_tokens: int, batch: int, layers: Collection[int] | None, *, values: bool, keeping: Keeping
) -> None:
    """Refuse a pass whose queries and keys would not fit in the memory that is free, or on the disk they go to.

    Raises
    ------
    TooLargeError
        With how much it would take, and what to capture instead.
    """
    needed = kept_bytes(model, n_tokens, batch, layers, values=values, dtype=keeping.dtype)
    free = free_where(keeping)
    if needed is None or free is None or needed < ASKED_BYTES or needed <= free:
        return
    each = needed / max(len(layers) if layers is not None else model.config.get_text_config().num_hidden_layers, 1)
    fitting = int(free * 0.8 // each)
    some = f"layers=range({fitting}) would fit" if fitting else "not even one layer fits: shorten the text"
    without = " values=False takes less." if values else ""
    without += "" if keeping.dtype is not None else ' dtype="bfloat16" or "float16" takes less than float32.'
    without += "" if keeping.file is not None else " path=… writes them to a file, layer by layer."
    where = "" if keeping.file is None else f" on the disk of {str(keeping.file.path)!r}"
    raise TooLargeError(
        f"Queries and keys of {n_tokens} tokens would take {needed / 1e9:.1f} GB, and {free / 1e9:.1f} GB are "
        f"free{where}. Capture some of the layers: {some}.{without}"
    )


def free_where(keeping: Keeping) -> int | None:
    """Bytes that are free where what is recorded is kept; None where that is not known."""
    if keeping.file is not None:
        return shutil.disk_usage(keeping.file.path.parent).free
    return free_bytes() if keeping.device is not None and keeping.device.type == "cpu" else None
