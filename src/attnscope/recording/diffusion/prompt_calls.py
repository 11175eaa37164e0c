"""One attention call of a denoiser, from the image to the prompt."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch

from attnscope.attention.arrays import dtype_name, to_float32
from attnscope.attention.compute import row_blocks
from attnscope.attention.layers import QueriesKeys, StoredWeights
from attnscope.attention.mask import Mask
from attnscope.errors import UnverifiedError
from attnscope.recording.collect import check

HIDDEN = -9_000
"""What is added to a score to hide its key is this or less; among scores below 4,000 exactly nothing of it is left."""


@dataclass(frozen=True, eq=False)
class PromptCall:
    """What one layer computed in one step.

    Parameters
    ----------
    path
        Path of its module in the denoiser.
    layer
        Queries and keys of all its tokens, or its weights.
    image, prompt
        Where the image lies among the queries, and the prompt among the keys.
    rows, columns
        The grid the image's tokens form.
    step
        How many rows of the finest grid one row of this grid covers.
    joint
        Whether image and prompt are one sequence.
    check
        Figure of the self-check; 0 for weights the model computed itself.
    """

    path: str
    layer: QueriesKeys | StoredWeights
    image: slice
    prompt: slice
    rows: int
    columns: int
    step: int
    joint: bool
    check: float = 0.0

    @property
    def grid(self) -> tuple[int, int, int]:
        """Rows, columns and step of the grid."""
        return self.rows, self.columns, self.step

    def head(self, head: int) -> np.ndarray:
        """Weights of one head from the image to the prompt: float32 [image tokens, prompt tokens]."""
        blocks = row_blocks(self.rows * self.columns, self.layer.n_keys)
        rows = [slice(self.image.start + block.start, self.image.start + block.stop) for block in blocks]
        return np.concatenate([to_float32(self.layer.weight_rows(head, some))[:, self.prompt] for some in rows])

    def mean(self, heads: list[int] | None = None) -> np.ndarray:
        """Weights averaged over heads, all or some: float64 [image tokens, prompt tokens]."""
        chosen = range(self.layer.n_heads) if heads is None else heads
        total = np.zeros((self.rows * self.columns, self.prompt.stop - self.prompt.start))
        for head in chosen:
            total += self.head(head)
        return total / len(chosen)

    def kept(self) -> PromptCall:
        """The call with copies of its arrays on the CPU."""
        layer = self.layer
        if isinstance(layer, StoredWeights):
            return replace(self, layer=replace(layer, weights=_copied(layer.weights)))
        bias = None if layer.bias is None else _copied(layer.bias)
        copied = replace(layer, queries=_copied(layer.queries), keys=_copied(layer.keys), bias=bias)
        return replace(self, layer=copied)


def of_weights(path: str, weights: torch.Tensor) -> tuple[StoredWeights, float]:
    """Make a layer of the weights an older attention processor computes itself, [heads, queries, keys].

    Returns
    -------
    StoredWeights, float
        The layer, and how far its rows are from summing to 1.

    Raises
    ------
    UnverifiedError
        When they do not sum to 1.
    """
    off = float((weights.float().sum(-1) - 1).abs().max())
    _require(off, 10 * check.TOLERANCE.get(dtype_name(weights), 1e-4), path)
    return StoredWeights(weights, Mask.full(weights.shape[1], weights.shape[2])), off


def of_queries(
    path: str,
    queries: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    output: torch.Tensor,
    mask: torch.Tensor | None,
    scale: float,
) -> tuple[QueriesKeys, float]:
    """Make a layer of what ``scaled_dot_product_attention`` was called with, for one input: [heads, tokens, width].

    Returns
    -------
    QueriesKeys, float
        The layer, and the figure of its self-check.

    Raises
    ------
    UnverifiedError
        When weights computed from it do not reproduce the output.
    """
    size = queries.shape[1], keys.shape[1]
    largest = float(queries.float().norm(dim=-1).max() * keys.float().norm(dim=-1).max()) * scale
    visible, bias = _read(mask, *size, HIDDEN if largest < 4_000 else torch.finfo(queries.dtype).min / 2)
    layer = QueriesKeys(queries, keys, scale, visible, bias=bias)
    off = check.deviation(layer, values, output.transpose(0, 1))
    _require(off, check.TOLERANCE.get(dtype_name(queries), 1e-4), path)
    return layer, off


def _require(off: float, allowed: float, path: str) -> None:
    if not off <= allowed:
        raise UnverifiedError(
            f"{path}: recomputed weights do not reproduce its output (off by {off:.2g}, at most {allowed:.0e} "
            "expected), so they are not shown. If the image is NaN or black, load the pipeline in a wider dtype: "
            "torch_dtype=torch.float32."
        )


def _read(mask: torch.Tensor | None, n_queries: int, n_keys: int, hidden: float) -> tuple[Mask, torch.Tensor | None]:
    """Read a mask [1 or heads, 1 or queries, keys]: the visible keys, and what else is added to the scores."""
    if mask is None:
        return Mask.full(n_queries, n_keys), None
    visible = mask if mask.dtype == torch.bool else mask > hidden
    if bool((visible != visible[:1]).any()):
        raise UnverifiedError(
            "A layer hides other keys in each head, which attnscope does not read in image pipelines. Use the model's "
            "default attention processors."
        )
    seen = Mask.of(visible[0].expand(n_queries, n_keys).cpu().numpy())
    if mask.dtype == torch.bool or not bool((mask[visible] != 0).any()):
        return seen, None
    bias = mask.masked_fill(~visible, 0)
    return seen, (bias[:1] if bool((bias == bias[:1]).all()) else bias).expand(-1, n_queries, n_keys)


def _copied(array: object) -> torch.Tensor:
    return torch.as_tensor(array).detach().cpu().clone()
