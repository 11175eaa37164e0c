"""CircuitsVis's views of attention: heads, one pattern, patterns over the text, and a cache of TransformerLens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attnscope.compat.circuitsvis.arguments import captures_of, note_unused
from attnscope.compat.circuitsvis.cache import from_cache
from attnscope.compat.circuitsvis.rendered import Rendered, joined

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["attention_heads", "attention_pattern", "attention_patterns", "from_cache"]


def attention_heads(
    attention: Any,
    tokens: Any,
    attention_head_names: Sequence[str] | None = None,
    max_value: float | None = None,
    min_value: float | None = None,
    negative_color: str | None = None,
    positive_color: str | None = None,
    mask_upper_tri: bool | None = None,
) -> Any:
    """Show some heads as small pictures; a click opens one.

    Parameters
    ----------
    attention
        Weights [heads, queries, keys] as a list, numpy, torch of any float dtype, JAX …; with an axis of inputs in
        front, every input is shown.
    tokens
        One string per position; with several inputs, one list per input.
    attention_head_names
        One name per head, which stands in the place of its numbers on screen.
    max_value, min_value, negative_color, positive_color
        Taken for the sake of the signature: colours run from nothing to a picture's largest weight, and are told apart
        in light and dark.
    mask_upper_tri
        Whether keys behind a query's own position are drawn as masked. None sees it from the weights: masked where no
        head looks ahead.

    Returns
    -------
    Rendered
        The live widget; ``str()`` of it is a whole page.

    Raises
    ------
    InputError
        For weights that are none (below 0, above 1, NaN, empty) and tokens that are not one per position.

    Examples
    --------
    >>> from attnscope.compat.circuitsvis.attention import attention_heads
    >>> shown = attention_heads(c.weights(1), c.tokens)
    """
    note_unused(
        max_value=max_value,
        min_value=min_value,
        negative_color=negative_color,
        positive_color=positive_color,
    )
    captures = captures_of(attention, tokens, heads=True, mask_upper_tri=mask_upper_tri, names=attention_head_names)
    return joined([Rendered(capture, view="grid") for capture in captures])


def attention_pattern(
    tokens: Any,
    attention: Any,
    max_value: float | None = None,
    min_value: float | None = None,
    negative_color: str | None = None,
    show_axis_labels: bool | None = None,
    positive_color: str | None = None,
    mask_upper_tri: bool | None = None,
) -> Any:
    """Show one head as a heat map.

    Parameters
    ----------
    attention
        Weights [queries, keys].
    show_axis_labels
        Taken for the sake of the signature: tokens always stand beside the matrix.
    tokens, max_value, min_value, negative_color, positive_color, mask_upper_tri
        As in :func:`attention_heads`.

    Examples
    --------
    >>> from attnscope.compat.circuitsvis.attention import attention_pattern
    >>> shown = attention_pattern(c.tokens, c.weights(1, 0))
    """
    note_unused(
        max_value=max_value,
        min_value=min_value,
        negative_color=negative_color,
        show_axis_labels=show_axis_labels,
        positive_color=positive_color,
    )
    captures = captures_of(attention, tokens, heads=False, mask_upper_tri=mask_upper_tri)
    return joined([Rendered(capture, view="matrix") for capture in captures])


def attention_patterns(tokens: Any, attention: Any) -> Any:
    """Show heads over the running text: point at a token to see what it attends to, or who attends to it.

    All heads are selected and joined into their largest weight; the head map selects one.

    Parameters
    ----------
    tokens, attention
        As in :func:`attention_heads`.

    Examples
    --------
    >>> from attnscope.compat.circuitsvis.attention import attention_patterns
    >>> shown = attention_patterns(c.tokens, c.weights(1))
    """
    captures = captures_of(attention, tokens, heads=True, mask_upper_tri=None)
    return joined(
        [
            Rendered(capture, view="text", heads=[[0, head] for head in range(capture.n_heads)], aggregate="max")
            for capture in captures
        ]
    )
