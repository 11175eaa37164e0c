"""The ways to get at attention while a model runs, each loaded from the same folder of weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

PLAIN = "plain pass"
OURS = "attnscope"
EAGER = "eager weights"
PATTERNS = "TransformerLens, patterns"
CACHE = "TransformerLens, all"


def load(way: str, folder: str) -> Callable[[torch.Tensor], int]:
    """Load the model and give what runs it.

    Parameters
    ----------
    way
        One of the names in this file.
    folder
        The saved model.

    Returns
    -------
    callable
        Takes token ids of shape [1, tokens], runs one forward pass and gives the bytes that are kept of it.
    """
    return WAYS[way](folder)


def _plain(folder: str) -> Callable[[torch.Tensor], int]:
    model = _transformer(folder)

    def run(ids: torch.Tensor) -> int:
        with torch.no_grad():
            model(ids, use_cache=False)
        return 0

    return run


def _ours(folder: str) -> Callable[[torch.Tensor], int]:
    from attnscope import record

    model = _transformer(folder)

    def run(ids: torch.Tensor) -> int:
        with torch.no_grad(), record(model) as recording:
            model(ids, use_cache=False)
        return recording.capture().nbytes

    return run


def _eager(folder: str) -> Callable[[torch.Tensor], int]:
    model = _transformer(folder, attn_implementation="eager")

    def run(ids: torch.Tensor) -> int:
        with torch.no_grad():
            weights = model(ids, use_cache=False, output_attentions=True).attentions
        return sum(layer.nbytes for layer in weights)

    return run


def _patterns(folder: str) -> Callable[[torch.Tensor], int]:
    return _cached(folder, names_filter=lambda name: name.endswith("hook_pattern"))


def _cached(folder: str, **given: Any) -> Callable[[torch.Tensor], int]:
    from transformer_lens.model_bridge import TransformerBridge

    bridge = TransformerBridge.boot_transformers(folder)

    def run(ids: torch.Tensor) -> int:
        with torch.no_grad():
            _, cache = bridge.run_with_cache(ids, **given)
        return sum({kept.data_ptr(): kept.nbytes for kept in cache.values() if torch.is_tensor(kept)}.values())

    return run


def _transformer(folder: str, **given: Any) -> Any:
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(folder, **given).eval()


WAYS = {PLAIN: _plain, OURS: _ours, EAGER: _eager, PATTERNS: _patterns, CACHE: _cached}
