"""Does a link matter? Hide a key from a query and see what the model says."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from attnscope.analysis.causal.effect import Effect, effect
from attnscope.analysis.causal.heads import attention_of, checked_heads, in_words
from attnscope.analysis.causal.subject import prepared, running
from attnscope.errors import InputError, InputTypeError

if TYPE_CHECKING:
    from attnscope.attention.capture import Attention
    from attnscope.recording.intervene import Subject


def cut_links(
    model: Any,
    tokenizer: Any,
    text: Any,
    links: Any,
    text_pair: str | None = None,
    *,
    layers: Iterable[int] | None = None,
    heads: Any = None,
    position: int | str | None = None,
    target: Any = None,
    decoder_text: str | None = None,
    kind: str | None = None,
) -> Effect:
    """Cut links between tokens and see how the model's prediction changes (attention knock-out; Geva et al. 2023).

    The score of each cut link is set to ``-inf`` before softmax, so the other keys share its weight. The model is left
    as it was.

    Parameters
    ----------
    model, tokenizer, text, text_pair, position, target, decoder_text
        As for :func:`ablate_heads`.
    links
        A (query, key) pair or several, each a position, a token or a word. A query of None stands for every token but
        the key itself: cut in all layers, the others then see the text as if that position were masked.
    layers
        Numbers of the layers to cut in; None for all.
    heads
        (layer, head) pairs to cut in, instead of whole layers.
    kind
        Kind of attention; None for the first. For the links from a decoder to its source, ``"cross"``.

    Returns
    -------
    Effect
        As :func:`ablate_heads` gives.

    Raises
    ------
    InputError
        When a link is one the mask hides anyway, or a query would be left without any key.
    UnverifiedError
        For a layer that does something to its attention that cannot be computed step by step.

    Examples
    --------
    >>> effect = analysis.cut_links(model, tokenizer, prompt, [(13, 6)])
    >>> effect.target, round(effect.change, 1)
    ('red', -14.0)
    """
    if layers is not None and heads is not None:
        raise InputError("Give layers to cut in whole layers, or heads to cut in some heads, not both.")
    subject = prepared(model, tokenizer, text, text_pair, position=position, target=target, decoder_text=decoder_text)
    return links_cut(subject, links, layers=layers, heads=heads, kind=kind)


def links_cut(
    subject: Subject, links: Any, *, layers: Iterable[int] | None = None, heads: Any = None, kind: str | None = None
) -> Effect:
    """Cut links of a prepared subject; see :func:`cut_links`."""
    attention = attention_of(subject.capture, kind)
    pairs = _pairs(attention, links)
    hidden = np.zeros((len(attention.queries), len(attention.keys)), bool)
    for query, key in pairs:
        if query is None:
            hidden[:, key] = True
            if attention.queries is attention.keys:
                hidden[key, key] = False
        else:
            hidden[query, key] = True
    chosen = _places(attention, layers, heads)
    cut: dict[tuple[str, int], np.ndarray] = {}
    for number, some in chosen.items():
        _require_cuttable(attention, number, hidden, pairs)
        shown = np.isin(np.arange(attention.layer(number).n_heads), some)
        cut[attention.kind, number] = shown[:, None, None] & hidden
    where = "all layers" if layers is None and heads is None else f"layers {sorted(chosen)}"
    if heads is not None:
        where = in_words([(number, head) for number, some in chosen.items() for head in some])
    return effect(subject, running().with_links_cut(subject, cut), f"{_in_words(attention, pairs)} cut in {where}")


def _pairs(attention: Attention, links: Any) -> list[tuple[int | None, int]]:
    """Resolve links to positions."""
    given = [links] if _is_link(links) else links
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise InputTypeError(f"Links are (query, key) pairs, such as [('it', 'cat'), (None, 3)]; got {links!r}.")
    given = list(given)
    wrong = [link for link in given if not _is_link(link)]
    if wrong:
        raise InputTypeError(f"A link is a (query, key) pair of positions, tokens or words; got {wrong[0]!r}.")
    if not given:
        raise InputError("There is no link in links. Name at least one, as a (query, key) pair.")
    return [
        (None if query is None else attention.queries.position(query), attention.keys.position(key))
        for query, key in given
    ]


def _is_link(value: Any) -> bool:
    return (
        isinstance(value, tuple | list)
        and len(value) == 2
        and isinstance(value[0], str | int | np.integer | None)
        and isinstance(value[1], str | int | np.integer)
    )


def _places(attention: Attention, layers: Iterable[int] | None, heads: Any) -> dict[int, list[int]]:
    """The heads to cut in, layer by layer."""
    chosen: dict[int, list[int]] = {}
    if heads is not None:
        for layer, head in checked_heads(attention, heads):
            chosen.setdefault(layer, []).append(head)
        return chosen
    if layers is not None and (isinstance(layers, str) or not isinstance(layers, Iterable)):
        raise InputTypeError(f"layers is a list of layer numbers, got {layers!r}. For one layer, write layers=[0].")
    numbers = list(attention.layers if layers is None else layers)
    if not numbers:
        raise InputError("layers is empty: name at least one layer, or leave it None for all.")
    return {int(number): list(range(attention.layer(number).n_heads)) for number in numbers}


def _require_cuttable(
    attention: Attention, number: int, hidden: np.ndarray, pairs: list[tuple[int | None, int]]
) -> None:
    layer = attention.layer(number)
    allowed = layer.mask.allowed(slice(None))
    for query, key in pairs:
        if query is not None and not allowed[query, key]:
            raise InputError(
                f"There is no link to cut from {attention.queries[query]!r} (position {query}) to "
                f"{attention.keys[key]!r} (position {key}) in layer {number}: the mask hides that key already. "
                "Queries come first: (query, key)."
            )
    blind = np.flatnonzero(allowed.any(axis=1) & ~(allowed & ~hidden).any(axis=1))
    if blind.size and getattr(layer, "sinks", None) is None:
        raise InputError(
            f"{attention.queries[int(blind[0])]!r} (position {blind[0]}) would be left without any key in layer "
            f"{number}. Leave it one of them."
        )


def _in_words(attention: Attention, pairs: list[tuple[int | None, int]]) -> str:
    """Name links shortly."""
    shown = [
        f"{'every other token' if query is None else repr(attention.queries[query].strip())} → "
        f"{attention.keys[key].strip()!r}"
        for query, key in pairs[:4]
    ]
    more = f" and {len(pairs) - 4} more" if len(pairs) > 4 else ""
    return ("link " if len(pairs) == 1 else "links ") + ", ".join(shown) + more
