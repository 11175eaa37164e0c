"""Captum's attributions of a prediction to the text's tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from attnscope.errors import InputError, MissingPackageError, ModelError
from attnscope.recording import models
from attnscope.recording.encode import text_tokenizer
from attnscope.recording.intervene.subject import repeated, with_gradients, without_gradients
from attnscope.recording.parameters import device_of

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    from attnscope.recording.intervene.subject import Subject

    Forward = Callable[[torch.Tensor], torch.Tensor]

ROWS = 16
"""Most inputs Captum runs at once."""
SAME = 1e-3
"""How far, relative to the largest of 1 and the value, vectors in place of ids may move it."""


def attribute(
    subject: Subject, method: str, *, of: str, baseline: int | None, steps: int, samples: int, seed: int
) -> tuple[np.ndarray, int, float | None]:
    """Attribute what the model says to the tokens of its text, by Captum's own implementation.

    The options are those of :func:`attnscope.analysis.attributions`; ``of`` is said of the readout's target.

    Returns
    -------
    numpy.ndarray, int, float or None
        float64 [tokens], 0 for special tokens; the baseline's id; and what Captum gives as the error of completeness
        (the sum against the difference to the baseline) of integrated gradients.

    Raises
    ------
    MissingPackageError
        When Captum is not installed.
    """
    try:
        import captum.attr as captum
    except ModuleNotFoundError as error:
        if error.name is None or not error.name.startswith("captum"):
            raise
        raise MissingPackageError(
            'Attributions are Captum\'s, which is not installed. Install it with: pip install "attnscope[captum]".'
        ) from error
    ids = subject.inputs.get("input_ids")
    if ids is None or not models.is_transformers(subject.model):
        raise InputError("Attributions are to the tokens of a text, and there are no input ids.")
    missing = _baseline(subject, baseline)
    kept = torch.as_tensor(subject.source.queries.special)
    without = torch.where(kept, ids, torch.full_like(ids, missing))
    if method in ("integrated_gradients", "input_x_gradient"):
        model = models.unwrapped(subject.model)
        table, device = model.get_input_embeddings(), device_of(model)
        with without_gradients():
            vectors, of_missing = table(ids.to(device)), table(without.to(device))
        forward = _forward(subject, "inputs_embeds", of)
        _require_same(subject, forward, vectors, of)
        with with_gradients():
            if method == "input_x_gradient":
                found, incomplete = captum.InputXGradient(forward).attribute(vectors.clone().requires_grad_()), None
            else:
                found, delta = captum.IntegratedGradients(forward).attribute(
                    vectors, of_missing, n_steps=steps, internal_batch_size=ROWS, return_convergence_delta=True
                )
                incomplete = float(delta.abs().max())
        return _of_tokens(found.sum(-1), kept), missing, incomplete
    forward = _forward(subject, "input_ids", of)
    with torch.random.fork_rng(devices=[]), without_gradients():
        torch.manual_seed(seed)
        if method == "ablation":
            found = captum.FeatureAblation(forward).attribute(ids, without, perturbations_per_eval=ROWS)
        else:
            found = captum.ShapleyValueSampling(forward).attribute(ids, without, n_samples=samples)
    return _of_tokens(found, kept), missing, None


def _of_tokens(found: torch.Tensor, kept: torch.Tensor) -> np.ndarray:
    """Scores of the only input's tokens, 0 for those that never go."""
    return found.detach().double()[0].cpu().masked_fill(kept, 0).numpy()


def _forward(subject: Subject, name: str, of: str) -> Forward:
    """A function of the batch Captum makes, of ids or vectors, to one number per input."""

    def forward(given: torch.Tensor) -> torch.Tensor:
        others = {other: value for other, value in subject.inputs.items() if other != "input_ids"}
        inputs = {**repeated(others, len(given)), name: given}
        return subject.readout.value(subject.run({}, inputs=inputs), of)

    return forward


def _require_same(subject: Subject, forward: Forward, vectors: torch.Tensor, of: str) -> None:
    """Refuse a model that makes something else of its tokens' vectors than of their ids."""
    with without_gradients():
        by_ids = float(subject.readout.value(subject.output, of)[0])
        by_vectors = float(forward(vectors)[0])
    if not abs(by_ids - by_vectors) <= SAME * max(1.0, abs(by_ids)):
        raise ModelError(
            f"{type(models.unwrapped(subject.model)).__name__} gives {by_vectors:.4g} for its tokens' vectors and "
            f"{by_ids:.4g} for their ids, so gradients cannot be taken at its vectors. Use method='ablation' or "
            "'shapley'."
        )


def _baseline(subject: Subject, given: int | None) -> int:
    tokenizer: Any = text_tokenizer(subject.tokenizer)
    names = ("mask_token_id", "pad_token_id", "unk_token_id", "eos_token_id")
    tries = [given, *(getattr(tokenizer, name, None) for name in names)]
    found = next((token for token in tries if token is not None), None)
    if found is None:
        raise InputError(
            "No token is known that stands for a missing one (mask, padding, unknown). Give baseline=token id."
        )
    return int(found)
