"""Does a head matter? Switch it off and see what the model says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from attnscope.analysis.causal.effect import Effect, cosine_distance, describe, effect, total_variation
from attnscope.analysis.causal.heads import all_heads, attention_of, by_layer_and_head, checked_heads, in_words
from attnscope.analysis.causal.subject import prepared, running
from attnscope.analysis.tables import table
from attnscope.errors import InputError, InputTypeError

if TYPE_CHECKING:
    from attnscope.attention.capture import Capture
    from attnscope.recording.intervene import Subject


@dataclass(frozen=True, eq=False)
class HeadEffects:
    """What switching off each head alone does to one prediction.

    Parameters
    ----------
    read, target
        What was looked at, and the token or class followed; as in :class:`Effect`.
    layers
        True numbers of the layers, the rows of the arrays.
    before
        Log probability of the target without changes, in nats; None for models without a head.
    change
        float32 [layers, heads]: by how much the target's log probability changes when the head is off; NaN throughout
        for models without a head.
    size
        float32 [layers, heads]: total variation of the prediction, 0 to 1; cosine distance of the hidden states for
        models without a head; NaN throughout with a target function.

    Examples
    --------
    >>> effects = analysis.ablate_heads(model, tokenizer, prompt, "each")
    >>> effects.size.round(3)
    array([[0.001, 0.004, 0.981, 0.   ],
           [0.002, 0.002, 0.004, 0.009]], dtype=float32)
    """

    read: str
    target: str
    layers: tuple[int, ...]
    before: float | None
    change: np.ndarray
    size: np.ndarray

    def table(self) -> Any:
        """One row per head, the largest effect first; a pandas frame where pandas is installed."""
        known = self.change if np.isnan(self.size).all() else self.size
        order = np.argsort(-np.nan_to_num(np.abs(known), nan=-1.0), axis=None, kind="stable")
        places = [np.unravel_index(i, known.shape) for i in order]
        return table(
            [
                {
                    "layer": self.layers[row],
                    "head": int(head),
                    "change": float(self.change[row, head]),
                    "size": float(self.size[row, head]),
                }
                for row, head in places
                if not np.isnan(known[row, head])
            ]
        )

    def as_dict(self) -> dict[str, Any]:
        """Everything as plain numbers, strings and lists, None where there is no number, and ``"lines"`` of text."""
        return {
            "lines": [repr(self)],
            "read": self.read,
            "target": self.target,
            "layers": list(self.layers),
            "before": self.before,
            "change": _listed(self.change),
            "size": _listed(self.size),
        }

    def __repr__(self) -> str:
        known = self.change if np.isnan(self.size).all() else self.size
        row, head = np.unravel_index(int(np.nanargmax(np.abs(known))), known.shape)
        return (
            f"HeadEffects({self.read}, {self.target!r}: {int((~np.isnan(known)).sum())} heads, the largest effect by "
            f"L{self.layers[int(row)]}H{int(head)}, {known[row, head]:.3g})"
        )


def ablate_heads(
    model: Any,
    tokenizer: Any,
    text: Any,
    heads: Any,
    text_pair: str | None = None,
    *,
    how: str | Mapping[tuple[str, int], np.ndarray] = "zero",
    position: int | str | None = None,
    target: Any = None,
    decoder_text: str | None = None,
    kind: str | None = None,
) -> Effect | HeadEffects:
    """Switch heads off and see how the model's prediction changes.

    A head's output is replaced where heads are still apart, before the output projection; everything else runs as it
    is. The model is left as it was.

    Parameters
    ----------
    model, tokenizer, text, text_pair
        As for :func:`attnscope.capture`, for one input.
    heads
        A (layer, head) pair; several, switched off together; or ``"each"`` to try every head alone.
    how
        ``"zero"``; ``"mean"`` for the head's mean over the text's positions, which leaves what it always says; or the
        result of :func:`mean_outputs`, its means over many texts.
    position
        Where to read the prediction, as a position or token (for encoder–decoders, of the decoder); None for the last
        token of a causal model, the first mask token of a masked one.
    target
        Token or class to follow, by name or number; None for the one the model finds likeliest. Or a function of the
        model's output that gives a number for each input.
    decoder_text
        The decoder's text of an encoder–decoder; None lets the model write it, and reads its last token.
    kind
        Kind of attention; None for the first.

    Returns
    -------
    Effect or HeadEffects
        Log probabilities of the target before and after, likeliest tokens, total variation of the prediction. Models
        without a head predict nothing: there it is the cosine distance between their hidden states, at the position or
        averaged over the text.

    Raises
    ------
    InputError, InputTypeError, NotFoundError
        For heads, positions or targets that are not there.
    ModelError
        For a layer whose heads cannot be reached, with the reason.

    Notes
    -----
    Several heads may do the same work: none of them matters alone, and all of them together do. A large effect of
    ``"zero"`` may only say that the head's usual output was relied on; compare ``"mean"``.

    Examples
    --------
    >>> analysis.ablate_heads(model, tokenizer, prompt, [(0, 2), (0, 3)])
    Effect(L0H2, L0H3 of self attention set to zero
           next token after 'small' (position 13): p('red') 99.8% → 0.3%
           before: 'red' 99.8%, 'and' 0.0%, 'by' 0.0%, 'blue' 0.0%, 'near' 0.0%
           after: 'a' 98.8%, 'red' 0.3%, 'cat' 0.2%, 'dog' 0.1%, 'hill' 0.1%
           total variation 0.996)
    """
    subject = prepared(model, tokenizer, text, text_pair, position=position, target=target, decoder_text=decoder_text)
    return ablated(subject, heads, how=how, kind=kind)


def ablated(
    subject: Subject, heads: Any, *, how: str | Mapping[tuple[str, int], np.ndarray] = "zero", kind: str | None = None
) -> Effect | HeadEffects:
    """Switch heads of a prepared subject off; see :func:`ablate_heads`."""
    attention = attention_of(subject.capture, kind)
    kind = attention.kind
    each = isinstance(heads, str) and heads == "each"
    chosen = all_heads(attention) if each else checked_heads(attention, heads)
    _require_way(how, [(kind, layer) for layer, _ in chosen])
    sets = [[(kind, *head)] for head in chosen] if each else [[(kind, *head) for head in chosen]]
    readings = list(running().with_heads(subject, sets, how))
    if not each:
        way = f"set to {how}" if isinstance(how, str) else "set to given means"
        return effect(subject, readings[0], f"{in_words(chosen)} of {kind} attention {way}")
    before = running().unchanged(subject)
    change = [np.nan if before.value is None else reading.value - before.value for reading in readings]
    if before.states is not None:
        size = [cosine_distance(before.states, reading.states) for reading in readings]
    elif before.log_probs is not None:
        size = [total_variation(before.log_probs, reading.log_probs) for reading in readings]
    else:
        size = [np.nan] * len(readings)
    return HeadEffects(
        *describe(subject),
        attention.layers,
        before.value,
        by_layer_and_head(attention, change),
        by_layer_and_head(attention, size),
    )


def mean_outputs(model: Any, tokenizer: Any, texts: list[Any], **given: Any) -> Mapping[tuple[str, int], np.ndarray]:
    """Average each head's output over the positions of several texts, to put in its place with ``how=``.

    Returns
    -------
    dict
        Per (kind, layer), float32 [heads, value width].

    Examples
    --------
    >>> usual = analysis.mean_outputs(model, tokenizer, [text, "a dog ran ."])
    >>> effect = analysis.ablate_heads(model, tokenizer, prompt, [(0, 2), (0, 3)], how=usual)
    >>> round(effect.change, 1)
    -9.0
    """
    if isinstance(texts, str) or not list(texts):
        raise InputError("Give several texts, a list with at least one: means over one text are how='mean'.")
    return running().mean_outputs([prepared(model, tokenizer, text, read=False, **given) for text in texts])


def effect_of(
    model: Any,
    inputs: Capture | Mapping[str, Any],
    heads: Any,
    *,
    tokenizer: Any = None,
    how: str = "zero",
    position: int | str | None = None,
    target: Any = None,
    kind: str | None = None,
) -> dict[str, Any]:
    """Switch heads off, and answer in plain numbers and strings that can be sent to a page.

    Parameters
    ----------
    model
        The model that was captured.
    inputs
        Its capture, whose token ids are run again; or its inputs, a mapping of tensors.
    heads, how, position, target, kind
        As for :func:`ablate_heads`.
    tokenizer
        Names the predicted tokens; without it they are numbers.

    Returns
    -------
    dict
        Of :class:`Effect`, or with ``"each"`` of :class:`HeadEffects`; ``"lines"`` says it in text.

    Raises
    ------
    InputError
        When the capture does not say what the model was given, or is not of this model.
    """
    if isinstance(inputs, Mapping):
        subject = prepared(model, tokenizer, inputs, position=position, target=target)
    else:
        tokens = inputs["decoder" if "decoder" in inputs.kinds else inputs.kinds[0]].queries
        where = tokens.position(position) if isinstance(position, str) else position
        subject = prepared(model, tokenizer, running().inputs_of(inputs), position=where, target=target)
        running().require_same(subject, inputs)
        subject = replace(subject, capture=inputs)  # which names its tokens
    return ablated(subject, heads, how=how, kind=kind).as_dict()


def _listed(values: np.ndarray) -> list[list[float | None]]:
    return [[None if np.isnan(value) else float(value) for value in row] for row in values]


def _require_way(how: Any, places: list[tuple[str, int]]) -> None:
    if isinstance(how, Mapping):
        missing = [place for place in places if place not in how]
        if missing:
            raise InputError(f"There are no means for {missing[0][0]} layer {missing[0][1]} in how. Give all of them.")
    elif how not in ("zero", "mean"):
        raise InputTypeError(f"how is 'zero', 'mean' or the result of mean_outputs(...), got {how!r}.")
