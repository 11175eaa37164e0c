"""One kind of attention of a capture: its layers, its tokens, and how their weights are read."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from attnscope.attention.arrays import byte_count
from attnscope.attention.compute import row_blocks
from attnscope.attention.head_names import require_names
from attnscope.attention.kept import once
from attnscope.attention.layers import Layer, QueriesKeys, skipping_rows
from attnscope.attention.memory import require_memory
from attnscope.attention.positions import Positions, resolve
from attnscope.attention.rounding import rounded_rows, rounding
from attnscope.attention.storing import error_of
from attnscope.errors import InputError, InputTypeError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping, Sequence

    from attnscope.attention.arrays import Array
    from attnscope.attention.stream import Stream
    from attnscope.attention.tokens import Tokens

WORTH_KEEPING = 1 << 22
"""Multiplications from which on rows are kept to be given again; fewer take less than a millisecond."""
MOST_KEPT = 1 << 22
"""Bytes up to which rows are kept: blocks and windows, not all weights of a long text."""


@dataclass(frozen=True, eq=False)
class Attention:
    """One kind of attention of a capture.

    Parameters
    ----------
    kind
        ``"self"``, ``"encoder"``, ``"decoder"``, ``"cross"``, ``"vision"`` …
    stored
        The layers that have attention, by their true layer number, in order.
    queries, keys
        Tokens that attend and tokens attended to; the same object where they are the same.
    how
        Per layer, the way it was captured: ``"interface"``, ``"sdpa"``, ``"multihead"``, ``"softmax"``, ``"given"``.
    check
        Per layer, the self-check's figure: the largest difference between recomputed weights · values and the
        layer's real output, relative to the largest output; in half precision, what the model's own rounding leaves of
        it, below 5e-3 in float16 and 2e-2 in bfloat16. Empty where nothing could be checked.
    modules
        Per layer, the path of the module in its model. Empty where it is not known.
    extra
        Further measures by name, per layer, each [heads, queries, keys]: ``{"gradient": {0: …}}``.
    stream
        What the layers write into the residual stream, recorded with ``values=True``; else None.
    head_names
        Per layer, a name for each head, all different, where heads have names of their own. Empty where they are named
        by their numbers.

    Examples
    --------
    >>> attention = c["self"]
    >>> attention
    Attention(self, 2 × 4 heads, 17 tokens)
    >>> attention.layers
    (0, 1)
    >>> attention.how[0], attention.check[0] < 1e-5
    ('interface', True)
    """

    kind: str
    stored: Mapping[int, Layer]
    queries: Tokens
    keys: Tokens
    how: Mapping[int, str] = field(default_factory=dict)
    check: Mapping[int, float] = field(default_factory=dict)
    modules: Mapping[int, str] = field(default_factory=dict)
    extra: Mapping[str, Mapping[int, Array]] = field(default_factory=dict)
    stream: Stream | None = None
    head_names: Mapping[int, Sequence[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.stored:
            raise InputError(f"A capture needs at least one layer of {self.kind} attention, got none.")
        for number, layer in self.stored.items():
            if (layer.n_queries, layer.n_keys) != (len(self.queries), len(self.keys)):
                raise InputError(
                    f"Tokens and attention do not match: layer {number} has {layer.n_queries} queries and "
                    f"{layer.n_keys} keys, but got {sides(self.queries, self.keys)}. "
                    "Give one token per position, special tokens included; with cross-attention give key_tokens too."
                )
        for name, layers in self.extra.items():
            for number, array in layers.items():
                layer = self.layer(number)
                if tuple(array.shape) != (layer.n_heads, layer.n_queries, layer.n_keys):
                    raise InputError(
                        f"The measure {name!r} has shape {tuple(array.shape)} in layer {number}; expected "
                        f"{(layer.n_heads, layer.n_queries, layer.n_keys)}, [heads, queries, keys]."
                    )

        if self.head_names:
            require_names(self.head_names, {number: layer.n_heads for number, layer in self.stored.items()})

    def __repr__(self) -> str:
        return f"Attention({self.kind}, {self.shape_text}, {sides(self.queries, self.keys)})"

    @property
    def layers(self) -> tuple[int, ...]:
        """True numbers of the layers that have attention."""
        return tuple(self.stored)

    @property
    def n_layers(self) -> int:
        """Number of layers that have attention."""
        return len(self.stored)

    @property
    def head_counts(self) -> tuple[int, ...]:
        """Heads of each stored layer."""
        return tuple(layer.n_heads for layer in self.stored.values())

    @property
    def n_heads(self) -> int:
        """Heads per layer; the most of any layer where they differ."""
        return max(self.head_counts)

    @property
    def shape_text(self) -> str:
        """Layers × heads in words: ``6 × 12 heads``."""
        ragged = "up to " if len(set(self.head_counts)) > 1 else ""
        return f"{self.n_layers} × {ragged}{self.n_heads} heads"

    @property
    def nbytes(self) -> int:
        """Bytes the layers take; masks that layers share count once."""
        masks = {id(layer.mask): layer.mask for layer in self.stored.values()}
        extra = [array for layers in self.extra.values() for array in layers.values()]
        return (
            sum(layer.nbytes for layer in self.stored.values())
            + sum(mask.nbytes for mask in masks.values())
            + sum(byte_count(array) for array in extra)
            + (0 if self.stream is None else self.stream.nbytes)
        )

    @property
    def error(self) -> dict[int, float]:
        """Per layer, the largest error storing adds to a weight, where queries and keys are kept in a narrower dtype.

        A bound, see :func:`attnscope.attention.storing.storing_error`; 0 where they are kept as the model gives them.
        """
        return {number: error_of(layer) for number, layer in self.stored.items()}

    @property
    def is_causal(self) -> bool:
        """Whether no layer lets a query see a later key."""
        return all(layer.mask.is_causal for layer in self.stored.values())

    @property
    def has_scores(self) -> bool:
        """Whether every layer kept its queries and keys, so that scores can be computed."""
        return all(isinstance(layer, QueriesKeys) for layer in self.stored.values())

    def layer(self, number: int) -> Layer:
        """Look up a layer by its true number.

        Raises
        ------
        NotFoundError
            With the layers there are.
        """
        if isinstance(number, bool) or not isinstance(number, int | np.integer):
            raise InputTypeError(f"A layer is a number, got {type(number).__name__} {number!r}.")
        if number not in self.stored:
            raise NotFoundError(
                f"There is no {self.kind} attention in layer {number}: {_count_text('layer', self.layers)}."
            )
        return self.stored[int(number)]

    def head(self, layer: int, head: int) -> int:
        """Check a head's number.

        Raises
        ------
        NotFoundError
            With the heads there are.
        """
        if isinstance(head, bool) or not isinstance(head, int | np.integer):
            raise InputTypeError(f"A head is a number, got {type(head).__name__} {head!r}.")
        n_heads = self.layer(layer).n_heads
        if not 0 <= head < n_heads:
            raise NotFoundError(f"There is no head {head} in layer {layer}: {_count_text('head', range(n_heads))}.")
        return int(head)

    def weights(
        self,
        layer: int,
        head: int | None = None,
        *,
        queries: Positions = None,
        keys: Positions = None,
        rounded: bool = False,
    ) -> np.ndarray:
        """Attention weights; see :meth:`Capture.weights`."""
        return self._read("rounded" if rounded else "weights", layer, head, queries, keys)

    def scores(
        self, layer: int, head: int | None = None, *, queries: Positions = None, keys: Positions = None
    ) -> np.ndarray:
        """Attention scores; see :meth:`Capture.scores`."""
        return self._read("scores", layer, head, queries, keys)

    def rounding(self, layer: int) -> float:
        """How far eager code in the layer's own half precision may put its weights from these, which are exact.

        ``weights(layer, rounded=True)`` gives those. 0 for float32 and wider; see
        :func:`attnscope.attention.rounding.rounding`.
        """
        return rounding(self.layer(layer))

    def overview(self, layer: int, head: int, size: int = 512) -> np.ndarray:
        """Coarse picture of one head; see :meth:`Capture.overview`."""
        if isinstance(size, bool) or not isinstance(size, int | np.integer) or size < 1:
            raise InputError(f"The size of an overview is a positive number of cells, got {size!r}.")
        source, head, size = self.layer(layer), self.head(layer, head), int(size)
        return once(self, ("overview", int(layer), head, size), lambda: source.overview(head, size)).copy()

    def _read(self, what: str, layer: int, head: int | None, queries: Positions, keys: Positions) -> np.ndarray:
        source = self.layer(layer)
        heads = range(source.n_heads) if head is None else [self.head(layer, head)]
        rows, one_row = resolve(queries, source.n_queries, "query")
        columns, one_column = resolve(keys, source.n_keys, "key")
        shape = len(heads), len(rows), len(columns)
        require_memory(
            4 * math.prod(shape),
            f"The {'scores' if what == 'scores' else 'weights'} of {_plural(shape[0], 'head')}, {shape[1]:,} queries "
            f"and {shape[2]:,} keys",
            "Ask for one head, for some queries (queries=slice(0, 512)), or for overview(layer, head)",
        )

        def read() -> np.ndarray:
            result = np.empty(shape, np.float32)
            wanted = slice(None) if keys is None else columns
            for h, number in enumerate(heads):
                for block in row_blocks(len(rows), source.n_keys, skipping_rows(source)):
                    result[h, block] = _ROWS[what](source, number, rows[block])[:, wanted]
            return result

        work = len(heads) * len(rows) * source.n_keys * getattr(source, "width", 1)
        if work < WORTH_KEEPING or 4 * math.prod(shape) > MOST_KEPT:
            result = read()
        else:
            question = (what, int(layer), None if head is None else int(head), _named(rows), _named(columns))
            result = once(self, question, read).copy()
        axes = (
            0 if head is not None else slice(None),
            0 if one_row else slice(None),
            0 if one_column else slice(None),
        )
        return result[axes]


_ROWS: dict[str, Callable[[Layer, int, slice | np.ndarray], np.ndarray]] = {
    "weights": lambda layer, head, queries: layer.weight_rows(head, queries),
    "scores": lambda layer, head, queries: layer.score_rows(head, queries),
    "rounded": rounded_rows,
}


def _named(positions: np.ndarray) -> Hashable:
    """Name positions: by the first and the last where they follow each other."""
    if positions.size and (np.diff(positions) == 1).all():
        return int(positions[0]), int(positions[-1])
    return positions.tobytes()


def sides(queries: Tokens, keys: Tokens) -> str:
    """Say how many tokens attend, and to how many where those are others."""
    if queries is keys or len(queries) == len(keys):
        return _plural(len(queries), "token")
    return f"{_plural(len(queries), 'query token')} and {_plural(len(keys), 'key token')}"


def _plural(count: int, name: str) -> str:
    return f"{count} {name}{'' if count == 1 else 's'}"


def _count_text(name: str, numbers: Sequence[int]) -> str:
    """Say which numbers there are, shortly: ``the layers are 0 to 5``."""
    if len(numbers) == 1:
        return f"the only {name} is {numbers[0]}"
    if list(numbers) == list(range(numbers[0], numbers[-1] + 1)):
        return f"the {name}s are {numbers[0]} to {numbers[-1]}"
    return f"the {name}s with attention are {', '.join(map(str, numbers))}"
