"""How does one row of weights come about?"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import logsumexp

from attnscope.analysis.rows import attention_of
from attnscope.analysis.tables import table
from attnscope.attention.arrays import to_float32
from attnscope.attention.blocks import Blocks
from attnscope.attention.layers import QueriesKeys
from attnscope.errors import InputError

if TYPE_CHECKING:
    from attnscope.attention.capture import Capture
    from attnscope.attention.layers import Layer

WEIGHTS_ONLY = "This capture holds weights only: the scores before softmax, and what they came from, were not kept."
NO_VALUES = "Value vectors were not captured; capture(…, values=True) keeps them."


@dataclass(frozen=True, eq=False)
class Steps:
    """The arithmetic of one query, step by step.

    Arrays are float32 and in the order of the keys. Masked keys keep their ``dots``, ``scaled``, ``capped`` and
    ``bias``, which can be computed all the same; their ``scores`` are ``-inf`` and their ``weights`` 0. In layers that
    attend within groups of tokens, keys outside the query's group have none of the former, which are NaN there. What a
    capture did not keep is None, and ``missing`` says why.

    Parameters
    ----------
    kind, layer, head, query
        Which row.
    tokens
        The query's token, then one text per key.
    temperature, scaled
        As asked for: 1 and True are the model's own.
    visible
        bool [keys]: which keys the mask shows.
    weights
        [keys]: after softmax; they sum to 1, less ``sink_weight`` where the model has a learned sink.
    q
        [width]: the query's vector, after rotary positions and normalisation.
    k
        [keys, width]: the keys' vectors of the head, which grouped heads share.
    dots
        [keys]: q·k.
    scale
        What the dot products are multiplied by, 1/√width in most models; 1 with ``scaled=False``.
    multiplied
        [keys]: q·k × scale.
    softcap, capped
        The model's soft cap and [keys], ``softcap · tanh(multiplied / softcap)``; None where it has none.
    bias
        [keys]: what is added, such as distance terms; None where nothing is.
    scores
        [keys]: what goes into the softmax, ``-inf`` where masked, before the temperature divides it.
    sink, sink_weight
        A learned score that belongs to no key and takes part in the softmax, and its weight; None and 0 without one.
    v
        [keys, value width]: the keys' values.
    weighted_values
        [keys, value width]: weight × value.
    output
        [value width]: their sum, what the head hands on before the output projection.
    missing
        What is not known and why; empty where all is.

    Examples
    --------
    >>> found = analysis.steps(c, 1, 0, "bird", temperature=2.0)
    >>> found.table().head(3).round(2)
       key token  visible  dots  multiplied  scores  weight
    0    0   <s>     True  7.38        1.84    1.84    0.05
    1    1   the     True  4.18        1.04    1.04    0.04
    2    2   cat     True  5.95        1.49    1.49    0.04
    """

    kind: str
    layer: int
    head: int
    query: int
    tokens: tuple[str, ...]
    temperature: float
    scaled: bool
    visible: np.ndarray
    weights: np.ndarray
    q: np.ndarray | None = None
    k: np.ndarray | None = None
    dots: np.ndarray | None = None
    scale: float | None = None
    multiplied: np.ndarray | None = None
    softcap: float | None = None
    capped: np.ndarray | None = None
    bias: np.ndarray | None = None
    scores: np.ndarray | None = None
    sink: float | None = None
    sink_weight: float = 0.0
    v: np.ndarray | None = None
    weighted_values: np.ndarray | None = None
    output: np.ndarray | None = None
    missing: str = ""

    def table(self) -> Any:
        """List the keys with every number that leads to their weight.

        Returns
        -------
        pandas.DataFrame or list of dict
            Per key ``key``, ``token``, ``visible``, the steps that are known of ``dots``, ``multiplied``, ``capped``,
            ``bias``, ``scores``, and the ``weight``.
        """
        known = [n for n in ("dots", "multiplied", "capped", "bias", "scores") if getattr(self, n) is not None]
        return table(
            [
                {"key": j, "token": token, "visible": bool(self.visible[j])}
                | {name: float(getattr(self, name)[j]) for name in known}
                | {"weight": float(self.weights[j])}
                for j, token in enumerate(self.tokens[1:])
            ],
            ["key", "token", "visible", *known, "weight"],
        )


def steps(
    c: Capture,
    layer: int,
    head: int,
    query: int | str,
    *,
    temperature: float = 1.0,
    scaled: bool = True,
    kind: str | None = None,
) -> Steps:
    """Walk through the arithmetic of one query: q·k, scale, soft cap, bias, mask, softmax, weighted values.

    Parameters
    ----------
    layer, head
        The head.
    query
        The token that attends: a position, a token or a word.
    temperature
        What everything that enters the softmax is divided by, a learned sink too: below 1 sharper, above 1 flatter.
        Weights ``p`` become proportional to ``p ** (1 / temperature)``, which is how it is done where a capture
        holds weights only; there a row keeps its sum.
    scaled
        False leaves out the model's scale factor, 1/√width in most, to show what it is for.

    Raises
    ------
    InputError
        For a temperature that is not above 0; for ``scaled=False`` where only weights are known.

    Examples
    --------
    >>> found = analysis.steps(c, 1, 0, "bird")
    >>> found.scale
    0.25
    >>> found.weights[:8].round(2)
    array([0.01, 0.  , 0.  , 0.12, 0.  , 0.  , 0.  , 0.86], dtype=float32)
    """
    require_temperature(temperature)
    attention = attention_of(c, kind)
    source, head, row = attention.layer(layer), attention.head(layer, head), attention.queries.position(query)
    visible = source.mask.allowed(slice(row, row + 1))[0]
    found = Steps(
        attention.kind,
        int(layer),
        head,
        row,
        (attention.queries.text[row], *attention.keys.text),
        float(temperature),
        bool(scaled),
        visible,
        source.weight_rows(head, slice(row, row + 1))[0],
    )
    if isinstance(source, Blocks):
        part, slot, place = source.part_of(row)
        return _placed(_walk(part, slot, found, part.mask.allowed(slice(slot, slot + 1))[0]), found, place)
    return _walk(source, row, found, visible)


def require_temperature(temperature: float) -> None:
    """Refuse a temperature that is no finite number above 0."""
    is_number = isinstance(temperature, int | float | np.number) and not isinstance(temperature, bool)
    if not is_number or not 0 < temperature < np.inf:
        raise InputError(
            f"A temperature is a finite number above 0, got {temperature!r}. Small ones come near a hard look-up, "
            "large ones near equal weights."
        )


def _walk(layer: Layer, row: int, asked: Steps, visible: np.ndarray) -> Steps:
    head, temperature = asked.head, asked.temperature
    if not isinstance(layer, QueriesKeys):
        if not asked.scaled:
            raise InputError(
                f"{WEIGHTS_ONLY} Without the scale factor the weights are those of temperature=1/√width: ask for that "
                "number (0.125 for heads that are 64 wide)."
            )
        weights = layer.weight_rows(head, slice(row, row + 1))[0]
        return replace(asked, visible=visible, weights=_tempered(weights, temperature), missing=WEIGHTS_ONLY)
    shared = head // layer.group_size
    q, k = to_float32(layer.queries[head][row]), to_float32(layer.keys[shared])
    scale = float(layer.scale) if asked.scaled else 1.0
    dots = k.astype(np.float64) @ q.astype(np.float64)
    multiplied = dots * scale
    capped = None if layer.softcap is None else layer.softcap * np.tanh(multiplied / layer.softcap)
    bias = None if layer.bias is None else to_float32(layer.bias[head if layer.bias.shape[0] > 1 else 0][row])
    scores = (multiplied if capped is None else capped) + (0 if bias is None else bias)
    scores = np.where(visible, scores, -np.inf)
    sink = None if layer.sinks is None else float(to_float32(layer.sinks)[head])
    weights, sink_weight = _softmax(scores / temperature, -np.inf if sink is None else sink / temperature)
    v = None if layer.values is None else to_float32(layer.values[shared])
    weighted = None if v is None else weights[:, None] * v
    return replace(
        asked,
        visible=visible,
        weights=weights.astype(np.float32),
        q=q,
        k=k,
        dots=dots.astype(np.float32),
        scale=scale,
        multiplied=multiplied.astype(np.float32),
        softcap=layer.softcap,
        capped=None if capped is None else capped.astype(np.float32),
        bias=bias,
        scores=scores.astype(np.float32),
        sink=sink,
        sink_weight=sink_weight,
        v=v,
        weighted_values=None if weighted is None else weighted.astype(np.float32),
        output=None if weighted is None else weighted.sum(axis=0).astype(np.float32),
        missing=NO_VALUES if v is None else "",
    )


def _softmax(scores: np.ndarray, sink: float) -> tuple[np.ndarray, float]:
    """Weights of the keys and of the sink; all 0 where there is nothing to see."""
    total = logsumexp(np.append(scores, sink))
    if total == -np.inf:
        return np.zeros_like(scores), 0.0
    return np.exp(scores - total), float(np.exp(sink - total))


def _tempered(weights: np.ndarray, temperature: float) -> np.ndarray:
    """Raise weights to 1 / temperature and bring them back to the sum they had."""
    if temperature == 1 or not weights.any():
        return weights
    power = (weights.astype(np.float64) / weights.max()) ** (1 / temperature)
    return (power * (weights.sum(dtype=np.float64) / power.sum())).astype(np.float32)


_PER_KEY = ("k", "dots", "multiplied", "capped", "bias", "v")


def _placed(inner: Steps, outer: Steps, place: np.ndarray) -> Steps:
    """Bring the arrays of a group's keys to their places among all keys."""

    def spread(values: np.ndarray | None, outside: float) -> np.ndarray | None:
        if values is None:
            return None
        whole = np.full((outer.visible.size, *values.shape[1:]), outside, values.dtype)
        whole[place] = values
        return whole

    fills = dict.fromkeys(_PER_KEY, np.nan) | {"scores": -np.inf, "weights": 0.0, "weighted_values": 0.0}
    arrays: dict[str, Any] = {name: spread(getattr(inner, name), fill) for name, fill in fills.items()}
    return replace(inner, visible=outer.visible, **arrays)
