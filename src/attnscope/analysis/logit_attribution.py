"""Which heads, and which tokens through them, speak for a next token?"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from attnscope.analysis.contributions import heads_output, write_of
from attnscope.analysis.rows import attention_of
from attnscope.analysis.value_weighted import with_values
from attnscope.attention.arrays import to_float32
from attnscope.errors import InputError, InputTypeError, NotFoundError

if TYPE_CHECKING:
    from attnscope.attention.capture import Attention, Capture
    from attnscope.attention.stream import Readout


@dataclass(frozen=True, eq=False)
class LogitAttribution:
    """A logit as the sum of what was written into the residual stream.

    ``logit = embedding + heads.sum() + biases.sum() + rest.sum() + constant``, exactly but for rounding.

    Parameters
    ----------
    position
        Where the next token is predicted.
    target, against
        Ids of the token and of the one it is compared with (None alone).
    heads
        float32 [layers, most heads]: what each head adds; NaN where a layer has no such head.
    sources
        float32 [layers, most heads, keys]: what it adds by what it read at each token; sums to ``heads``.
    biases
        float32 [layers]: the output projections' biases, which belong to no head.
    rest
        float32 [layers]: what everything else between this layer's attention and the next adds: feed-forward parts,
        and layers without attention.
    embedding
        What the token itself adds, before the first layer with attention.
    constant
        The final norm's shift and the unembedding's bias.
    logit
        The logit, as the model reads it off, before a soft cap or scale of all logits.

    Examples
    --------
    >>> found = analysis.logit_attribution(c, "red", "bird")
    >>> abs(found.total - found.logit) < 1e-3
    True
    """

    position: int
    target: int
    against: int | None
    heads: np.ndarray
    sources: np.ndarray
    biases: np.ndarray
    rest: np.ndarray
    embedding: float
    constant: float
    logit: float

    @property
    def total(self) -> float:
        """The parts added up; differs from the logit by rounding alone."""
        return float(self.embedding + self.constant + np.nansum(self.heads) + np.sum(self.biases) + np.sum(self.rest))


def logit_attribution(
    c: Capture,
    position: int | str,
    target: int | str | None = None,
    *,
    against: int | str | None = None,
    kind: str | None = None,
) -> LogitAttribution:
    """Attribute a logit to heads and source tokens: direct logit attribution (Elhage et al. 2021, "A mathematical
    framework for transformer circuits").

    The residual stream is a sum, and with the scale of the final norm held at what it was, a logit is a linear function
    of it. A head's part is ``z_h · output_h · u``, and in it a source token's is ``weight_ij · v_j · output_h · u``,
    with ``u`` the token's unembedding through the final norm. These are direct effects only: what a head does by way of
    later layers is not in its part, so it can disagree with ablation.

    Parameters
    ----------
    position
        The token after which the next one is predicted: a position, a token or a word.
    target
        The next token: an id, or its text; None for the likeliest after the last position.
    against
        Another token to take the logit of away.

    Raises
    ------
    InputError
        When the capture does not hold what it takes, or the model's logits are no linear function of the stream, as
        where every layer ends in a norm (BERT's type); with the reason and the remedy.
    NotFoundError
        For a token whose unembedding is not there, with those that are.

    Examples
    --------
    >>> found = analysis.logit_attribution(c, "red", "bird", against="cat")
    >>> found.heads.round(1)
    array([[ 0. , -0.2, -0.3, -0.1],
           [-2.2, -1.2, -2.8,  1.9]], dtype=float32)
    """  # noqa: D205
    attention = attention_of(c, kind)
    write_of(attention, attention.layers[0])
    stream = attention.stream
    if stream is None or stream.readout is None:
        why = "" if stream is None else stream.no_readout
        raise InputError(f"Logits cannot be attributed here: {why}.")
    readout, i = stream.readout, attention.queries.position(position)
    token = _token(readout, attention, target, "target") if target is not None else int(readout.ids[0])
    row, bias = _unembedding(readout, token)
    other = None if against is None else _token(readout, attention, against, "against")
    if other is not None:
        other_row, other_bias = _unembedding(readout, other)
        row, bias = row - other_row, bias - other_bias
    end = to_float32(readout.residual)[i]
    u = readout.norm.toward(row) / readout.norm.scale(end)
    constant = float(np.sum(readout.norm.added() * row)) + bias
    count, most = attention.n_layers, attention.n_heads
    sources = np.full((count, most, len(attention.keys)), np.nan, np.float32)
    biases, before = np.zeros(count, np.float32), np.zeros(count + 1)
    before[count] = end @ u
    for number, layer in enumerate(attention.layers):
        parts, biases[number] = _layer(attention, layer, i, u)
        sources[number, : len(parts)] = parts
        residual = write_of(attention, layer).residual
        if residual is None:
            raise InputError(f"The residual of layer {layer} is not known: {write_of(attention, layer).why}.")
        before[number] = to_float32(residual)[i] @ u
    heads = sources.sum(axis=2)
    rest = np.diff(before) - np.nansum(heads, axis=1) - biases
    logit = float(before[count]) + constant
    return LogitAttribution(
        i, token, other, heads, sources, biases, rest.astype(np.float32), float(before[0]), constant, logit
    )


def _layer(attention: Attention, layer: int, i: int, u: np.ndarray) -> tuple[np.ndarray, float]:
    """What each head of a layer adds by each key along a direction [heads, keys], and what no key adds."""
    source, values = with_values(attention, layer)
    write, rows = write_of(attention, layer), slice(i, i + 1)
    bias = np.zeros(len(u), np.float32) if write.bias is None else to_float32(write.bias)
    direction, shift = write.factor * u, 0.0
    if write.inner is not None:
        whole = heads_output(source, values, write, rows)[0] + bias
        shift = float(np.sum(write.inner.added() * direction))
        direction = write.inner.toward(direction) / write.inner.scale(whole)
    output = to_float32(write.output) @ direction
    found = np.stack(
        [
            source.weight_rows(head, rows)[0] * (values[head // source.group_size] @ output[head])
            for head in range(source.n_heads)
        ]
    )
    return found, float(bias @ direction) + shift


def _token(readout: Readout, attention: Attention, given: int | str, name: str) -> int:
    """Resolve an id, or the text of a token whose unembedding is kept."""
    if isinstance(given, int | np.integer) and not isinstance(given, bool):
        return int(given)
    if not isinstance(given, str):
        raise InputTypeError(f"{name} is a token's id or its text, got {type(given).__name__} {given!r}.")
    for texts, wanted in ((readout.texts, given), ([text.strip() for text in readout.texts], given.strip())):
        if wanted in texts:
            return int(readout.ids[list(texts).index(wanted)])
    near = difflib.get_close_matches(given, readout.texts, n=5, cutoff=0.4) or readout.texts[:10]
    raise NotFoundError(
        f"There is no token {given!r} among those of the text and the likeliest next ones; near are "
        f"{', '.join(map(repr, near))}. Give any other by its id, while the model of this {attention.kind} capture "
        "lives."
    )


def _unembedding(readout: Readout, token: int) -> tuple[np.ndarray, float]:
    at = np.flatnonzero(readout.ids == token)
    if at.size:
        bias = 0.0 if readout.bias is None else float(readout.bias[int(at[0])])
        return to_float32(readout.rows)[at[0]], bias
    live = None if readout.live is None else readout.live(token)
    if live is None:
        raise NotFoundError(
            f"The unembedding of token {token} is not kept: a capture keeps those of the text's tokens and of the "
            "likeliest next ones, and reads others off the model while it lives unchanged. Capture again."
        )
    return live
