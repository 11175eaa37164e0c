"""``model_view``: every head of every layer at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attnscope.compat.bertviz.arguments import captures_of
from attnscope.compat.showing import require_action, show, theme_of
from attnscope.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from attnscope.attention.capture import Capture


def model_view(
    attention: Any = None,
    tokens: Any = None,
    sentence_b_start: Any = None,
    prettify_tokens: bool = True,
    display_mode: str = "dark",
    encoder_attention: Any = None,
    decoder_attention: Any = None,
    cross_attention: Any = None,
    encoder_tokens: Any = None,
    decoder_tokens: Any = None,
    include_layers: Sequence[int] | None = None,
    include_heads: Sequence[int] | None = None,
    html_action: str = "view",
) -> Any:
    """Show all heads of all layers as a grid of small pictures; a click opens one.

    Parameters
    ----------
    display_mode
        ``"dark"`` or ``"light"``.
    include_heads
        Heads to select in every layer. The others stay in the grid, under their own numbers, since they cost nothing
        until they are looked at.
    attention, tokens, sentence_b_start, prettify_tokens, encoder_attention, decoder_attention, cross_attention, \
encoder_tokens, decoder_tokens, include_layers, html_action
        As in :func:`~attnscope.compat.bertviz.head_view`.

    Examples
    --------
    >>> from attnscope.compat.bertviz import model_view
    >>> weights = [c.weights(layer)[None] for layer in range(2)]
    >>> page = model_view(weights, c.tokens, html_action="return")
    """
    require_action(html_action)
    theme = theme_of(display_mode)
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
        shown = {"view": "grid", "theme": theme}
        if include_heads is None or len(include_heads) == 0:
            return shown
        wanted = [int(head) for head in include_heads]
        found = [[layer, head] for layer, count in zip(first.layers, first.head_counts, strict=True)
                 for head in wanted if 0 <= head < count]  # fmt: skip
        missing = sorted(set(wanted) - {head for _, head in found})
        if missing:
            raise InputError(
                f"include_heads names head {', '.join(map(str, missing))}; heads are 0 to {first.n_heads - 1}."
            )
        return {**shown, "heads": found}

    return show(captures, traits, html_action)
