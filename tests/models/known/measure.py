"""What capturing a family gives: tiers, errors against its own weights, self-checks, refusals."""

from __future__ import annotations

import copy
import math
import re
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import transformers

from attnscope import record
from attnscope.errors import AttnscopeWarning, ModelError
from tests.models.known import same_states

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.models.known.family import Family

_SIZED = re.compile(r" \d+×\d+$")


@dataclass(eq=False)
class Outcome:
    """What one family gave.

    ``tiers``, ``errors``, ``checks`` and ``layers`` are by kind of attention; ``errors`` only where the model's own
    output holds weights, and ``rounded`` those of the weights as eager code rounds them. ``rounding`` is the largest a
    layer states, and ``beyond`` the most by which a layer's error exceeds its own.
    """

    tiers: dict[str, str] = field(default_factory=dict)
    errors: dict[str, float] = field(default_factory=dict)
    rounded: dict[str, float] = field(default_factory=dict)
    checks: dict[str, float] = field(default_factory=dict)
    layers: dict[str, tuple[int, ...]] = field(default_factory=dict)
    sums: float = 0.0
    beyond: float = -math.inf
    rounding: float = 0.0
    left_out: str = ""
    refused: str = ""


def build(known: Family, implementation: str | None = None) -> Any:
    """Make the model in eval mode, its weights drawn from a seed and spread so that no head is uniform."""
    cls = getattr(transformers, known.model)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        config = cls.config_class(**copy.deepcopy(known.options))
        model = cls._from_config(config, attn_implementation=implementation)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.ndim > 1:
                weight.normal_(
                    0,
                    known.gain / (weight[0].numel() if weight.ndim > 2 else weight.shape[-1]) ** 0.5,
                    generator=generator,
                )
            elif name.endswith("sinks"):
                weight.normal_(0, 1, generator=generator)
            elif name.endswith("bias"):
                weight.normal_(0, 0.1, generator=generator)
    return model.eval()


def own_weights(
    known: Family, model: Any, inputs: dict[str, Any], states_of: Sequence[str] = ()
) -> dict[str, list[np.ndarray]]:
    """What the model's eager code returns, by kind: [batch, heads, queries, keys] of each layer with attention.

    The modules ``states_of`` names are given the hidden states they have as the model is, not those of eager layers.
    """
    if not known.own:
        return {}
    eager = _eager(model)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(0)
        with same_states.kept(model, states_of) as states:
            if states_of:
                model(**copy.deepcopy(inputs))
        torch.manual_seed(0)
        with same_states.given(eager, states):
            output = eager(**copy.deepcopy(inputs), output_attentions=True, return_dict=True)
    found = {}
    for kind, path in known.own.items():
        value: Any = output
        for part in path.split("."):
            value = getattr(value, part)
        layers = [layer for layer in _flat(value) if layer is not None]
        found[kind] = [layer.detach().float().numpy() for layer in layers]
    return found


def measure(
    known: Family,
    dtype: torch.dtype = torch.float32,
    implementation: str | None = None,
    *,
    same_states: bool = False,
) -> Outcome:
    """Capture a family, run in a precision, and compare, with ``same_states`` on the same hidden states."""
    model, inputs = build(known, implementation).to(dtype), known.inputs()
    inputs = {name: value.to(dtype) if value.is_floating_point() else value for name, value in inputs.items()}
    torch.manual_seed(0)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        try:
            with record(model) as recording, torch.no_grad():
                model(**copy.deepcopy(inputs))
            captures = recording.captures()
        except ModelError as error:
            return Outcome(refused=str(error))
    said = [str(warning.message) for warning in seen if issubclass(warning.category, AttnscopeWarning)]
    outcome = Outcome(left_out=" ".join(said))
    attending = [capture[kind].modules.values() for capture in captures for kind in capture.kinds]
    states_of = sorted({path for paths in attending for path in paths}) if same_states else ()
    own = own_weights(known, model, inputs, states_of)
    for item, capture in enumerate(captures):
        by_kind: dict[str, dict[int, np.ndarray]] = {}
        rounded: dict[str, dict[int, np.ndarray]] = {}
        rounding: dict[tuple[str, int], float] = {}
        for kind in capture.kinds:
            attention = capture[kind]
            plain = _SIZED.sub("", kind)
            layers = by_kind.setdefault(plain, {})
            for number in attention.layers:
                layers[number] = attention.weights(number)
                rounded.setdefault(plain, {})[number] = attention.weights(number, rounded=True)
                rounding[plain, number] = attention.rounding(number)
            outcome.tiers[plain] = " and ".join(sorted({*attention.how.values()}))
            worst = max(attention.check.values())
            outcome.checks[plain] = max(outcome.checks.get(plain, 0.0), worst)
        outcome.layers = {kind: tuple(sorted(layers)) for kind, layers in by_kind.items()}
        for kind, layers in by_kind.items():
            sums = [layer.sum(-1) for layer in layers.values()]
            outcome.sums = max(outcome.sums, *(float(np.where(s == 0, 0, abs(s - 1)).max()) for s in sums))
            if kind in own:
                errors = _errors(kind, [layers[number] for number in sorted(layers)], own[kind], item, inputs)
                outcome.errors[kind] = max(outcome.errors.get(kind, 0.0), *errors)
                again = _errors(kind, [rounded[kind][number] for number in sorted(layers)], own[kind], item, inputs)
                outcome.rounded[kind] = max(outcome.rounded.get(kind, 0.0), *again)
                stated = [rounding[kind, number] for number in sorted(layers)]
                beyond = [error - bound for error, bound in zip(errors, stated, strict=False)]
                outcome.beyond, outcome.rounding = max(outcome.beyond, *beyond), max(outcome.rounding, *stated)
    return outcome


def _errors(
    kind: str, found: list[np.ndarray], own: list[np.ndarray], item: int, inputs: dict[str, Any]
) -> list[float]:
    """Largest difference of each layer, padding left out; infinity where there are others."""
    if len(found) != len(own):
        return [math.inf]
    errors = []
    for mine, theirs in zip(found, own, strict=True):
        expected = _unpadded(_per_input(theirs, inputs)[item], kind, item, inputs)
        errors.append(float(abs(mine - expected).max()) if mine.shape == expected.shape else math.inf)
    return errors


def _per_input(weights: np.ndarray, inputs: dict[str, Any]) -> np.ndarray:
    """Give weights with the heads in the batch axis an axis of their own."""
    batch = next(iter(inputs.values())).shape[0]
    return weights if weights.ndim == 4 else weights.reshape(batch, -1, *weights.shape[1:])


def _unpadded(weights: np.ndarray, kind: str, item: int, inputs: dict[str, Any]) -> np.ndarray:
    mask = inputs.get("attention_mask")
    if mask is None or kind in ("vision", "decoder"):
        return weights
    kept = mask[item].bool().numpy()
    if weights.shape[-1] == len(kept):
        weights = weights[:, :, kept]
    rows = kind != "cross" or "decoder_input_ids" not in inputs
    return weights[:, kept] if rows and weights.shape[1] == len(kept) else weights


def _eager(model: Any) -> Any:
    """A second model with the same weights on the implementation that returns them."""
    other = type(model)._from_config(copy.deepcopy(model.config), attn_implementation="eager")
    other.load_state_dict(model.state_dict())
    return other.to(model.dtype).eval()


def _flat(value: Any) -> list[Any]:
    if isinstance(value, list | tuple):
        return [entry for part in value for entry in _flat(part)]
    return [value]
