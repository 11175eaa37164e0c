"""``head_view``: the lines between the tokens of some heads of a layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attnscope.compat.bertviz.arguments import captures_of
from attnscope.compat.showing import require_action, show
from attnscope.errors import InputError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from attnscope.attention.capture import Capture


def head_view(
    attention: Any = None,
    tokens: Any = None,
    sentence_b_start: Any = None,
    prettify_tokens: bool = True,
    layer: int | None = None,
    heads: Sequence[int] | None = None,
    encoder_attention: Any = None,
    decoder_attention: Any = None,
    cross_attention: Any = None,
    encoder_tokens: Any = None,
    decoder_tokens: Any = None,
    include_layers: Sequence[int] | None = None,
    html_action: str = "view",
) -> Any:
    """Show attention as lines between tokens.

    Parameters
    ----------
    attention
        Self-attention, one array per layer, [inputs, heads, tokens, tokens] or [heads, tokens, tokens], numpy, torch of
        any float dtype, JAX …; or a transformers output with ``attentions``. Not together with the next three.
    encoder_attention, decoder_attention, cross_attention
        The kinds of attention of an encoder–decoder, any of them; their depths may differ.
    tokens, encoder_tokens, decoder_tokens
        One string per position; with several inputs, one list per input. Padding of several inputs is cut away.
    sentence_b_start
        Position of the first token of the second sentence, or one per input. Adds the kinds of attention A → A, B → B,
        A → B and B → A.
    prettify_tokens
        Whether marks of the tokenizer are made readable.
    layer, heads
        Layer and heads to start with; None for the first layer and all heads.
    include_layers
        Layers to keep, under their own numbers; None or empty for all.
    html_action
        ``"view"`` displays; ``"return"`` gives an IPython ``HTML`` whose ``data`` is a whole page, complete without
        network; ``"widget"`` gives the live :class:`~attnscope.AttentionWidget`.

    Raises
    ------
    InputError
        Where there are no weights (sdpa), tokens and weights do not match, or a layer is not there; always with what
        to do.

    Examples
    --------
    >>> from attnscope.compat.bertviz import head_view
    >>> weights = [c.weights(layer)[None] for layer in range(2)]
    >>> page = head_view(weights, c.tokens, layer=1, heads=[0], html_action="return")
    """
    require_action(html_action)
    captures = captures_of(
        attention=attention,
        tokens=tokens,
        sentence_b_start=sentence_b_start,
        prettify_tokens=prettify_tokens,
        encoder_attention=encoder_attention,
        decoder_attention=decoder_attention,
        cross_attention=cross_attention,
        encoder_tokens=encoder_tokens,
        decoder_tokens=decoder_tokens,
        include_layers=include_layers,
    )

    def traits(capture: Capture) -> dict[str, Any]:
        first = capture[capture.kinds[0]]
        number = first.layers[0] if layer is None else layer
        if number not in first.layers:
            raise InputError(
                f"layer {number} is not among the layers shown: {', '.join(map(str, first.layers))}. Choose one of "
                "them, or add it to include_layers."
            )
        count = first.layer(number).n_heads
        wanted = range(count) if heads is None or len(heads) == 0 else [int(head) for head in heads]
        try:
            return {"view": "links", "heads": [[number, first.head(number, head)] for head in wanted]}
        except NotFoundError as error:
            raise InputError(f"heads={list(wanted)}: {error}") from None

    return show(captures, traits, html_action)
