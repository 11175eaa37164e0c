"""``neuron_view``: a head's queries and keys and the arithmetic between them, of any model that can be captured."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from attnscope.attention.arrays import to_float32
from attnscope.attention.layers import QueriesKeys
from attnscope.compat.showing import require_action, theme_of
from attnscope.compat.showing import show as show_captures
from attnscope.errors import InputError, InputTypeError, ModelError

if TYPE_CHECKING:
    from attnscope.attention.capture import Attention, Capture


def show(
    model: Any,
    model_type: str | None,
    tokenizer: Any,
    sentence_a: str,
    sentence_b: str | None = None,
    display_mode: str = "dark",
    layer: int | None = None,
    head: int | None = None,
    html_action: str = "view",
) -> Any:
    """Show the arithmetic of one query: q · k, scale, mask, softmax, and the vectors behind it.

    Parameters
    ----------
    model, tokenizer
        Any model of transformers that attnscope captures, with its tokenizer; BertViz's own copies of BERT, GPT-2 and
        RoBERTa are not needed.
    model_type
        Taken for the sake of the signature; what the model is, is seen from the model.
    sentence_a, sentence_b
        A text, or the two of a pair.
    display_mode
        ``"dark"`` or ``"light"``.
    layer, head
        Layer and head to start with; None for the first.
    html_action
        As in :func:`~attnscope.compat.bertviz.head_view`.

    Examples
    --------
    >>> from attnscope.compat.bertviz import neuron_view
    >>> page = neuron_view.show(model, "gpt2", tokenizer, "the cat saw", layer=1, head=0, html_action="return")
    """
    del model_type
    require_action(html_action)
    theme = theme_of(display_mode)
    captured = _captured(model, tokenizer, sentence_a, sentence_b, values=True)

    def traits(capture: Capture) -> dict[str, Any]:
        first = capture[capture.kinds[0]]
        number = first.layers[0] if layer is None else layer
        words = np.flatnonzero(~first.queries.special)
        query = int(words[0]) if words.size else 0
        return {"view": "steps", "theme": theme, "heads": [[number, 0 if head is None else head]], "query": query}

    return show_captures([captured], traits, html_action)


def get_attention(
    model: Any,
    model_type: str | None,
    tokenizer: Any,
    sentence_a: str,
    sentence_b: str | None = None,
    include_queries_and_keys: bool = False,
) -> dict[str, dict[str, Any]]:
    """Give weights, and queries and keys, as nested lists.

    Parameters
    ----------
    model, model_type, tokenizer, sentence_a, sentence_b
        As in :func:`show`.
    include_queries_and_keys
        Whether to give the query and key vectors too.

    Returns
    -------
    dict
        Under ``"all"``, and for a pair also under ``"aa"``, ``"bb"``, ``"ab"`` and ``"ba"``: ``left_text`` and
        ``right_text``, the tokens; ``attn``, one list [heads, queries, keys] per layer; and with
        ``include_queries_and_keys`` ``queries`` and ``keys``, one list [heads, tokens, width] per layer, after rotary
        positions. Grouped heads' keys are given once per head.

    Raises
    ------
    ModelError
        Where queries and keys are asked for, of a model whose attention is not computed from any.

    Examples
    --------
    >>> from attnscope.compat.bertviz import neuron_view
    >>> found = neuron_view.get_attention(model, "gpt2", tokenizer, "the cat saw")
    >>> np.array(found["all"]["attn"]).shape
    (2, 4, 4, 4)
    """
    del model_type
    capture = _captured(model, tokenizer, sentence_a, sentence_b, values=False)
    attention = capture[capture.kinds[0]]
    parts = {"a": slice(None), "b": slice(None)}
    if sentence_b:
        start = _second_start(attention)
        parts = {"a": slice(0, start), "b": slice(start, None)}
    names = {"all": (slice(None), slice(None))}
    if sentence_b:
        names |= {left + right: (parts[left], parts[right]) for left, right in ("aa", "bb", "ab", "ba")}
    weights = [attention.weights(number) for number in attention.layers]
    vectors = [_vectors(attention, number) for number in attention.layers] if include_queries_and_keys else None
    found: dict[str, dict[str, Any]] = {}
    for name, (rows, columns) in names.items():
        found[name] = {
            "attn": [layer[:, rows, columns].tolist() for layer in weights],
            "left_text": list(attention.queries.text[rows]),
            "right_text": list(attention.keys.text[columns]),
        }
        if vectors is not None:
            found[name]["queries"] = [queries[:, rows].tolist() for queries, _ in vectors]
            found[name]["keys"] = [keys[:, columns].tolist() for _, keys in vectors]
    return found


def _captured(model: Any, tokenizer: Any, sentence_a: str, sentence_b: str | None, *, values: bool) -> Capture:
    from attnscope.attention.capture import Capture
    from attnscope.recording.capture import capture

    if type(model).__module__.startswith("bertviz."):
        raise InputTypeError(
            f"This {type(model).__name__} is BertViz's own copy, which is not needed here: load the model with "
            f"transformers, or import it from attnscope.compat.bertviz.transformers_neuron_view."
        )
    if not isinstance(sentence_a, str) or not sentence_a:
        raise InputError(f"sentence_a is a text, got {sentence_a!r}.")
    found = capture(model, tokenizer, sentence_a, sentence_b or None, values=values)
    assert isinstance(found, Capture)
    return found


def _second_start(attention: Attention) -> int:
    """Find the first token of the second sentence.

    Raises
    ------
    InputError
        Where the tokenizer does not say which tokens are whose.
    """
    segments = attention.queries.segments
    second = np.flatnonzero(segments == 1) if segments is not None else np.zeros(0, int)
    if not second.size:
        raise InputError(
            "Which tokens are of the second sentence is not known of this tokenizer. Leave sentence_b out, or cut the "
            "weights of attnscope.capture(model, tokenizer, sentence_a, sentence_b) yourself."
        )
    return int(second[0])


def _vectors(attention: Attention, number: int) -> tuple[np.ndarray, np.ndarray]:
    """Queries and keys of a layer, float32 [heads, tokens, width]."""
    layer = attention.layer(number)
    if not isinstance(layer, QueriesKeys):
        raise ModelError(
            f"Layer {number} gives its weights only ({attention.how.get(number, 'given')}), not the queries and keys "
            "they come from. Leave include_queries_and_keys out."
        )
    return to_float32(layer.queries), np.repeat(to_float32(layer.keys), layer.group_size, axis=0)
