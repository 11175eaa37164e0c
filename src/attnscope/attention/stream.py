"""What heads write into the residual stream, and how it is read: what turns weights into contributions."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from attnscope.attention.arrays import Array, byte_count, to_float32
from attnscope.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


@dataclass(frozen=True, eq=False)
class Norm:
    """A layer norm, or a root-mean-square norm.

    Parameters
    ----------
    gain, shift
        [width]; None for ones, and for zeros.
    eps
        What is added to the variance.
    centred
        Whether the mean is taken away first, as layer norm does and root-mean-square norm does not.
    """

    gain: Array | None
    shift: Array | None
    eps: float
    centred: bool

    def scale(self, rows: np.ndarray) -> np.ndarray:
        """Give what each row is divided by: [.., width] to [.., 1]."""
        rows = self._centre(rows)
        found: np.ndarray = np.sqrt((rows * rows).mean(axis=-1, keepdims=True) + self.eps)
        return found

    def linear(self, vectors: np.ndarray) -> np.ndarray:
        """Map vectors as the norm does with its scale held fast at 1 and without its shift: a linear map."""
        vectors = self._centre(vectors)
        return vectors if self.gain is None else vectors * to_float32(self.gain)

    def toward(self, direction: np.ndarray) -> np.ndarray:
        """Give the direction along which a row counts as its :meth:`linear` does along another: the adjoint map."""
        return self._centre(direction if self.gain is None else direction * to_float32(self.gain))

    def added(self) -> np.ndarray | float:
        """Give what is added at the end."""
        return 0.0 if self.shift is None else to_float32(self.shift)

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """Norm rows [.., width]."""
        return self.linear(rows) / self.scale(rows) + self.added()

    def arrays(self) -> dict[str, Array]:
        """Give the arrays there are, by name."""
        named = {"gain": self.gain, "shift": self.shift}
        return {name: array for name, array in named.items() if array is not None}

    def _centre(self, rows: np.ndarray) -> np.ndarray:
        return rows - rows.mean(axis=-1, keepdims=True) if self.centred else rows


@dataclass(frozen=True, eq=False)
class Write:
    """What a layer makes of its heads and where it puts it.

    With ``z_h = weights_h · values_h`` the layer adds ``factor · inner(Σ_h z_h · output_h + bias)`` to the residual
    stream; a model that norms after that (BERT's type) puts ``norm`` over the sum.

    Parameters
    ----------
    output
        [heads, value width, model width]: each head's slice of the output projection.
    bias
        [model width]; None where there is none.
    check
        Largest difference to what the module really gave, relative to its largest number.
    residual
        [queries, model width]: what it is added to. None where that was not found; ``why`` says why.
    inner
        A norm over what the heads give, before it is added.
    factor
        A number it is multiplied by.
    norm
        The norm over the sum.
    """

    output: Array
    bias: Array | None
    check: float
    residual: Array | None = None
    inner: Norm | None = None
    factor: float = 1.0
    norm: Norm | None = None
    why: str = ""

    def __post_init__(self) -> None:
        shape = tuple(self.output.shape)
        if len(shape) != 3:
            raise InputError(f"An output projection is [heads, value width, model width], got shape {shape}.")
        for name, array, ndim in (("bias", self.bias, 1), ("residual", self.residual, 2)):
            if array is not None and (array.ndim != ndim or array.shape[-1] != shape[2]):
                raise InputError(f"The {name} has shape {tuple(array.shape)}; the model is {shape[2]} wide.")

    def arrays(self) -> dict[str, Array]:
        """Give the arrays there are, by name."""
        named = {"output": self.output, "bias": self.bias, "residual": self.residual}
        for name, norm in (("inner", self.inner), ("norm", self.norm)):
            named |= {f"{name}.{part}": array for part, array in ({} if norm is None else norm.arrays()).items()}
        return {name: array for name, array in named.items() if array is not None}


@dataclass(frozen=True, eq=False)
class Readout:
    """How the residual stream after the last layer becomes logits: ``norm(residual) · rows + bias``.

    Parameters
    ----------
    residual
        [queries, model width]: the stream after the last layer.
    norm
        The final norm.
    ids, texts
        The tokens whose logits can be told: those of the text, and the likeliest next ones.
    rows
        [ids, model width]: the unembedding of each.
    bias
        [ids]; None where there is none.
    check
        Largest difference of the logits to the model's own, relative to the largest.
    live
        Gives the unembedding and bias of any other token while the model it was captured from lives; not saved.
    """

    residual: Array
    norm: Norm
    ids: np.ndarray
    texts: tuple[str, ...]
    rows: Array
    bias: Array | None
    check: float
    live: Callable[[int], tuple[np.ndarray, float] | None] | None = None

    def arrays(self) -> dict[str, Array]:
        """Give the arrays there are, by name."""
        named = {"residual": self.residual, "rows": self.rows, "bias": self.bias}
        named |= {f"norm.{part}": array for part, array in self.norm.arrays().items()}
        return {name: array for name, array in named.items() if array is not None}


@dataclass(frozen=True, eq=False)
class Stream:
    """What a capture knows of the residual stream of one kind of attention.

    Parameters
    ----------
    writes
        By layer.
    missing
        By layer, why there is none.
    readout
        How logits are read off; None where they are not, ``no_readout`` says why.
    """

    writes: Mapping[int, Write] = field(default_factory=dict)
    missing: Mapping[int, str] = field(default_factory=dict)
    readout: Readout | None = None
    no_readout: str = ""

    @property
    def nbytes(self) -> int:
        """Bytes of every array; what captures of one pass share counts in each."""
        arrays: list[Any] = [array for write in self.writes.values() for array in write.arrays().values()]
        if self.readout is not None:
            arrays += self.readout.arrays().values()
        return sum(byte_count(array) for array in arrays)
