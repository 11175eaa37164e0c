"""record(): the context manager round a forward pass, and the captures made of it."""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from attnscope.attention.arrays import dtype_name
from attnscope.attention.capture import Attention, Capture
from attnscope.attention.layers import QueriesKeys
from attnscope.attention.tokens import Tokens
from attnscope.errors import (
    InputError,
    InputTypeError,
    ModelError,
    NoAttentionError,
    NotFoundError,
    UnverifiedError,
)
from attnscope.recording import check, models
from attnscope.recording.encode import tokens_of_ids
from attnscope.recording.interface import AttentionCall, is_watching, watching
from attnscope.recording.masks import MaskReader

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from attnscope.attention.given import TokenTexts
    from attnscope.attention.layers import Layer
    from attnscope.attention.mask import Mask

_UNDERSTOOD = {
    "scaling", "dropout", "is_causal", "softcap", "s_aux", "sinks", "position_bias",
    "sliding_window", "position_ids", "cache_position", "use_cache", "output_attentions", "output_hidden_states",
    "return_dict", "logits_to_keep", "past_key_values", "position_embeddings", "cache",
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class _Recorded:
    """One layer of the pass: its number, one record per batch item, and the worst self-check of them."""

    number: int
    module: str
    items: Sequence[QueriesKeys]
    check: float
    unknown: Sequence[str]


class Recording:
    """What one forward pass showed; made by :func:`record`."""

    def __init__(self, model: Any, layers: Iterable[int] | None, values: bool) -> None:
        models.require_recordable(model)
        self._model = models.unwrapped(model)
        self._wanted = _layer_numbers(layers)
        self._values = values
        self._paths = models.module_paths(model)
        self._masks = MaskReader()
        self._recorded: list[_Recorded] = []
        self._numbers: set[int] = set()
        self._passes = 0
        self._inputs: dict[str, Any] = {}
        self._open: ExitStack | None = None

    def __enter__(self) -> Recording:
        with ExitStack() as stack:
            hook = self._model.register_forward_pre_hook(self._on_forward, with_kwargs=True)
            stack.callback(hook.remove)
            stack.enter_context(watching(self._on_call))
            self._open = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._open is not None
        self._open.close()
        self._open = None

    def capture(
        self, tokens: TokenTexts | None = None, *, tokenizer: Any = None, key_tokens: TokenTexts | None = None
    ) -> Capture:
        """Make the capture of a pass over one input.

        Parameters
        ----------
        tokens
            One string per token, padding included if there was any; None reads them from the input ids.
        tokenizer
            Names the input ids; without it they are shown as numbers.
        key_tokens
            One string per key, where those are other tokens.

        Raises
        ------
        InputError
            Before the block has ended, for several inputs at once, or for tokens that do not match.
        NoAttentionError, ModelError, UnverifiedError
            When nothing was recorded, layers are missing, or the self-check failed.
        """
        batch = self._finished()
        if batch != 1:
            raise InputError(f"The pass was over {batch} inputs; use .captures() for one capture of each.")
        return self._make(0, tokens, tokenizer, key_tokens)

    def captures(self, tokens: Sequence[TokenTexts] | None = None, *, tokenizer: Any = None) -> list[Capture]:
        """Make one capture of each input of a batch, padding cut away.

        Parameters
        ----------
        tokens
            One list of strings per input, as long as the padded input; None reads them from the input ids.
        tokenizer
            Names the input ids.
        """
        batch = self._finished()
        if tokens is not None and len(tokens) != batch:
            raise InputError(f"The pass was over {batch} inputs, but tokens of {len(tokens)} were given.")
        return [self._make(item, None if tokens is None else tokens[item], tokenizer, None) for item in range(batch)]

    def _on_forward(self, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if not is_watching(self._on_call):
            return  # a pass of another thread, or of a recording inside this one
        self._passes += 1
        bound = inspect.signature(module.forward).bind_partial(*args, **kwargs).arguments
        self._inputs = {**bound, **bound.get("kwargs", {})}

    def _on_call(self, call: AttentionCall) -> None:
        path = self._paths.get(call.module)
        if path is None or self._passes > 1:
            return
        if call.options.get("dropout") and call.module.training:
            raise ModelError(
                f"{path} drops out weights at random (training mode). Call model.eval() first; model.train() brings "
                "training mode back."
            )
        number = models.layer_number(call.module, path)
        if number is None or number in self._numbers:
            number = len(self._numbers)
        self._numbers.add(number)
        if self._wanted is not None and number not in self._wanted:
            return
        items, figures = [], []
        for item in range(call.queries.shape[0]):
            layer = self._layer(call, item)
            figures.append(check.deviation(layer, call.values[item], call.output[item]))
            items.append(layer)
        seen = [figure for figure in figures if not math.isnan(figure)]
        unknown = sorted(k for k, v in call.options.items() if v is not None and k not in _UNDERSTOOD)
        self._recorded.append(_Recorded(number, path, items, max(seen, default=math.nan), unknown))

    def _layer(self, call: AttentionCall, item: int) -> QueriesKeys:
        mask, bias = self._masks.read(call, item)
        position_bias = call.options.get("position_bias")
        if position_bias is not None:
            added = position_bias[item if position_bias.shape[0] > 1 else 0]
            bias = added if bias is None else added + bias
        scale = call.options.get("scaling")
        sinks = call.options.get("s_aux", call.options.get("sinks"))
        return QueriesKeys(
            _own(call.queries)[item],
            _own(call.keys)[item, :, : mask.n_keys],
            call.queries.shape[-1] ** -0.5 if scale is None else float(scale),
            mask,
            softcap=call.options.get("softcap"),
            bias=None if bias is None else bias.detach().cpu(),
            sinks=None if sinks is None else sinks.detach().cpu().reshape(-1),
            values=_own(call.values)[item] if self._values else None,
        )

    def _finished(self) -> int:
        """Check that the block ended with one whole, verified pass; give the number of inputs."""
        if self._open is not None:
            raise InputError("The recording is still open; ask for the capture after the with block.")
        if self._passes > 1:
            raise InputError(
                f"{self._passes} forward passes ran inside the block, and a capture is of one. For generated text, "
                "generate first, then record one pass over the whole sequence: model(output_ids)."
            )
        name = type(self._model).__name__
        if not self._passes and not self._numbers:
            raise NoAttentionError(
                f"No attention was recorded: {name} did not run. Call model(**inputs) inside the with block, in the "
                "same thread."
            )
        if not self._numbers:
            raise NoAttentionError(
                f"No attention was recorded, though {name} ran. Either it has no attention (state-space and recurrent "
                "models), or it computes attention in its own code, past transformers' attention interface, which this "
                "version of attnscope does not capture yet. If it can return its weights, show those: "
                "from_attentions(model(**inputs, output_attentions=True), tokens)."
            )
        self._require_all_layers(name)
        for layer in self._recorded:
            self._require_verified(layer)
        return len(self._recorded[0].items)

    def _require_all_layers(self, name: str) -> None:
        if self._wanted is not None:
            missing = sorted(self._wanted - self._numbers)
            if missing:
                raise NotFoundError(
                    f"{name} has no attention in layer {missing[0]}; its layers are {sorted(self._numbers)}."
                )
            return
        expected = getattr(self._model.config.get_text_config(), "num_hidden_layers", None)
        if expected is not None and len(self._numbers) < expected:
            missing = sorted(set(range(expected)) - self._numbers)
            raise ModelError(
                f"Only {len(self._numbers)} of the {expected} layers of {name} computed attention through "
                f"transformers' attention interface; nothing was seen of layers {missing}. "
                f"If those are layers without attention, record the others: layers={sorted(self._numbers)}."
            )

    def _require_verified(self, layer: _Recorded) -> None:
        allowed = check.TOLERANCE.get(dtype_name(layer.items[0].queries), 1e-4)
        if math.isnan(layer.check):
            raise InputError(
                f"No token sees any other in layer {layer.number}: the attention mask hides everything. Pass a mask "
                "with 1 for the tokens to read and 0 for padding."
            )
        if math.isinf(layer.check):
            raise UnverifiedError(
                f"Layer {layer.number} ({layer.module}) computes with NaN or infinite numbers, so there are no weights "
                "to show. Check that the model's weights were loaded whole, or load it in a wider dtype: "
                "dtype=torch.float32."
            )
        if layer.check > allowed:
            unknown = (
                f" It was called with {', '.join(layer.unknown)}, which attnscope does not know."
                if layer.unknown
                else ""
            )
            raise UnverifiedError(
                f"Layer {layer.number} ({layer.module}): weights recomputed from its queries and keys do not reproduce "
                f"its output (off by {layer.check:.2g}, at most {allowed:.0e} expected).{unknown} The weights would be "
                "wrong, so they are not shown. Give the model's own weights to attnscope.from_attentions(...)."
            )

    def _make(self, item: int, tokens: TokenTexts | None, tokenizer: Any, key_tokens: TokenTexts | None) -> Capture:
        n = self._recorded[0].items[item].n_queries
        names = self._tokens(item, n, tokens, tokenizer)
        keys = names if key_tokens is None else Tokens.of(key_tokens)
        kept = self._kept(item, n)
        if not kept.size:
            raise InputError(
                f"Input {item} of the batch is padding throughout: its attention mask is all 0. Leave it out."
            )
        stored: dict[int, Layer] = {}
        masks: dict[Mask, Mask] = {}
        for recorded in sorted(self._recorded, key=lambda layer: layer.number):
            layer = recorded.items[item]
            if len(kept) < n and len(names) == n:
                layer = layer.take(kept, kept, masks)
            stored[recorded.number] = layer
        if len(kept) < n and len(names) == n:
            keys = names = names.take(kept)
        how = dict.fromkeys(stored, "interface")
        figures = {recorded.number: recorded.check for recorded in self._recorded}
        return Capture({"self": Attention("self", stored, names, keys, how, figures)}, models.display_name(self._model))

    def _tokens(self, item: int, n: int, tokens: TokenTexts | None, tokenizer: Any) -> Tokens:
        if tokens is not None:
            return Tokens.of(tokens)
        ids = self._inputs.get("input_ids")
        if ids is None or ids.shape[-1] != n:
            raise InputError(
                f"The input had no token ids to name its {n} positions by; give tokens=[…], one per position."
            )
        return tokens_of_ids(ids[item].tolist(), tokenizer)

    def _kept(self, item: int, n: int) -> np.ndarray:
        """Positions that are not padding, by the attention mask the model was called with."""
        mask = self._inputs.get("attention_mask")
        if not isinstance(mask, torch.Tensor) or mask.ndim != 2 or mask.shape[-1] != n:
            return np.arange(n)
        return np.flatnonzero(mask[item].cpu().numpy() != 0)


def record(model: Any, *, layers: Iterable[int] | None = None, values: bool = False) -> Recording:
    """Record the attention of a forward pass you run yourself.

    >>> with record(model) as recording:          # doctest: +SKIP
    ...     model(**inputs)
    >>> recording.capture(tokenizer=tokenizer)    # doctest: +SKIP

    The pass runs as it would without the recording, on the model's own implementation; parameters, config, mode,
    random state and hooks are as before once the block ends, also after an error.

    Parameters
    ----------
    model
        A transformers model, in eval mode.
    layers
        Numbers of the layers to record; None for all.
    values
        Whether to keep the value vectors too.

    Raises
    ------
    InputTypeError, ModelError
        When the model cannot be recorded, with the reason and the remedy.
    """
    return Recording(model, layers, values)


def _layer_numbers(layers: Iterable[int] | None) -> set[int] | None:
    """Check the layers asked for."""
    if layers is None:
        return None
    if isinstance(layers, str) or not isinstance(layers, Iterable):
        raise InputTypeError(f"layers is a list of layer numbers, got {layers!r}. For one layer, write layers=[0].")
    numbers = list(layers)
    wrong = [n for n in numbers if isinstance(n, bool) or not isinstance(n, int | np.integer)]
    if wrong:
        raise InputTypeError(f"A layer is a number, got {type(wrong[0]).__name__} {wrong[0]!r} in layers.")
    if not numbers:
        raise InputError("layers is empty: name at least one layer, or leave it None for all.")
    return {int(number) for number in numbers}


def _own(tensor: torch.Tensor) -> torch.Tensor:
    """Bring a tensor to the CPU; copy it if it is a view that would keep a larger one alive."""
    tensor = tensor.detach().cpu()
    shared = tensor.untyped_storage().nbytes() > tensor.numel() * tensor.element_size()
    return tensor.clone() if shared else tensor
