"""A capture: what was recorded of one forward pass on one input, and how it is read."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from attnscope.attention.kept import share
from attnscope.attention.kind import Attention as Attention
from attnscope.attention.kind import sides
from attnscope.attention.pictures import read_picture
from attnscope.errors import InputError, NotFoundError

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    import numpy as np

    from attnscope.attention.positions import Positions
    from attnscope.attention.tokens import Tokens


@dataclass(frozen=True, eq=False)
class Capture:
    """What was recorded of one forward pass on one input.

    Weights and scores are computed from queries and keys when they are asked for, in float32. Layers are named by
    their true numbers, heads and positions count from zero; rows are queries, columns are keys.

    Parameters
    ----------
    attention
        The kinds of attention by name; the first is the one methods take by default.
    model_name
        Name of the model, for titles.
    pictures
        Small pictures of the images the patches come from, in their order: uint8 [height, width, 3] each.

    Examples
    --------
    >>> c = capture(model, tokenizer, text)
    >>> c.kinds, c.n_layers, c.n_heads
    (('self',), 2, 4)
    >>> bird = c.find("bird", 1)
    >>> c.tokens[c.weights(1, 0, queries=bird).argmax()]
    '.'
    """

    attention: Mapping[str, Attention]
    model_name: str = ""
    pictures: tuple[np.ndarray, ...] = ()

    def __post_init__(self) -> None:
        if not self.attention:
            raise InputError("A capture needs at least one kind of attention, got none.")
        share(self.attention.values())

    def __getitem__(self, kind: str) -> Attention:
        return self._kind(kind)

    def __repr__(self) -> str:
        parts = "; ".join(f"{a.kind}: {a.shape_text}, {sides(a.queries, a.keys)}" for a in self.attention.values())
        name = f"{self.model_name}, " if self.model_name else ""
        return f"Capture({name}{parts}, {self.nbytes / 1e6:.1f} MB)"

    @property
    def kinds(self) -> tuple[str, ...]:
        """Names of the kinds of attention, the default first."""
        return tuple(self.attention)

    @property
    def tokens(self) -> list[str]:
        """Tokens that attend, as readable strings."""
        return list(self._kind(None).queries)

    @property
    def key_tokens(self) -> list[str]:
        """Tokens attended to, as readable strings."""
        return list(self._kind(None).keys)

    @property
    def n_layers(self) -> int:
        """Number of layers that have attention of the default kind."""
        return self._kind(None).n_layers

    @property
    def n_heads(self) -> int:
        """Heads per layer of the default kind; the most of any layer where they differ."""
        return self._kind(None).n_heads

    @property
    def nbytes(self) -> int:
        """Bytes of everything recorded."""
        return sum(attention.nbytes for attention in self.attention.values()) + sum(p.nbytes for p in self.pictures)

    def weights(
        self,
        layer: int,
        head: int | None = None,
        *,
        queries: Positions = None,
        keys: Positions = None,
        kind: str | None = None,
        rounded: bool = False,
    ) -> np.ndarray:
        """Attention weights, after softmax.

        Parameters
        ----------
        layer
            True layer number.
        head
            Head number; None for all heads of the layer.
        queries, keys
            A slice, a position, or several; negative ones count from the end. One position drops its axis.
        kind
            Kind of attention; None for the first.
        rounded
            For a model in half precision: the weights as its eager code rounds them, which computes every step in that
            precision, instead of the exact softmax of its queries and keys.

        Returns
        -------
        numpy.ndarray
            float32 [heads, queries, keys], or [queries, keys] with a head. Rows sum to 1, except where the model
            has learned sinks or a query sees no key (then 0). Masked cells are 0.

        Raises
        ------
        NotFoundError
            For a kind, layer, head or position that is not there.
        TooLargeError
            When the answer would not fit in memory.

        Notes
        -----
        In float32 weights are within 1e-5 of what a model's eager code gives. In half precision they are as exact, and
        the eager code is not: measured over 127 families, it is off by up to 2e-2 in bfloat16 and 3e-3 in float16
        where scores are wide (``capture[kind].rounding(layer)`` states the bound), and rounded weights are within 2e-3
        and 5e-4 of it. Where a model ran on a fused attention function, no weights of that pass were ever rounded;
        those of its eager twin differ from layer 1 on, since the layers' outputs do.
        """
        return self._kind(kind).weights(layer, head, queries=queries, keys=keys, rounded=rounded)

    def scores(
        self,
        layer: int,
        head: int | None = None,
        *,
        queries: Positions = None,
        keys: Positions = None,
        kind: str | None = None,
    ) -> np.ndarray:
        """Attention scores, before softmax: queries · keys × scale, soft-capped, with bias; masked entries -inf.

        Takes and gives the same shapes as :meth:`weights`; refused where only weights are known.
        """
        return self._kind(kind).scores(layer, head, queries=queries, keys=keys)

    def overview(self, layer: int, head: int, size: int = 512, *, kind: str | None = None) -> np.ndarray:
        """Coarse picture of one head: the largest weight of each cell, without holding queries × keys.

        Parameters
        ----------
        layer, head, kind
            As in :meth:`weights`.
        size
            Most cells along either side.

        Returns
        -------
        numpy.ndarray
            float32 [≤ size, ≤ size]; a cell spans ``ceil(n / size)`` tokens, the last may span fewer.
        """
        return self._kind(kind).overview(layer, head, size)

    def tokens_of(self, kind: str | None = None) -> tuple[Tokens, Tokens]:
        """Tokens of the queries and of the keys of one kind."""
        attention = self._kind(kind)
        return attention.queries, attention.keys

    def find(self, token: str, occurrence: int = 0, *, side: str = "query", kind: str | None = None) -> int:
        """Position of a token or word; see :meth:`Tokens.find`.

        Parameters
        ----------
        token, occurrence
            What to find, and which of several.
        side
            ``"query"`` or ``"key"``.
        kind
            Kind of attention; None for the first.
        """
        if side not in ("query", "key"):
            raise InputError(f"side is 'query' or 'key', got {side!r}.")
        return self.tokens_of(kind)[side == "key"].find(token, occurrence)

    def with_pictures(self, *images: Any) -> Capture:
        """Give pictures of the images the patches come from, in their order; see :func:`.pictures.read_picture`."""
        return replace(self, pictures=tuple(read_picture(image) for image in images))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the capture to one safetensors file; see :func:`attnscope.load`."""
        from attnscope.attention.storage import save

        save(self, path)

    def _kind(self, kind: str | None) -> Attention:
        if kind is None:
            return next(iter(self.attention.values()))
        if kind not in self.attention:
            raise NotFoundError(
                f"There is no {kind!r} attention in this capture; it has {', '.join(map(repr, self.kinds))}."
            )
        return self.attention[kind]
