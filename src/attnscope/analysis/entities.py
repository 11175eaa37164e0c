"""How much each head looks at named things, and inside them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from attnscope.analysis.patterns import pattern_scores
from attnscope.analysis.rows import attention_of, require_one_sequence
from attnscope.analysis.tables import table
from attnscope.analysis.targets import Given
from attnscope.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from attnscope.attention.capture import Capture


def entity_heads(
    c: Capture, spans: Sequence[tuple[int, int]], *, content: bool = False, kind: str | None = None
) -> Any:
    """Score every head on given spans of tokens, such as named entities.

    Parameters
    ----------
    spans
        First and past-the-last position of each; they do not overlap.
    content
        Leave special tokens out on both sides, and scale what is left of each row to sum 1.

    Returns
    -------
    pandas.DataFrame or list of dict
        Per head: ``layer``, ``head``; ``share``, the mean weight on spans, of queries outside of them; ``within``, that
        of a span's tokens on its other tokens (NaN where every span is one token); and the ``chance`` level of each.

    Examples
    --------
    >>> table = analysis.entity_heads(c, [(4, 8), (12, 16)])
    >>> table.head(2).round(2)
       layer  head  share  share_chance  within  within_chance
    0      0     0   0.35           0.4    0.27            0.2
    1      0     1   0.52           0.4    0.57            0.2
    """
    require_one_sequence(c, kind, "Attention within spans")
    attention = attention_of(c, kind)
    owner = np.full(len(attention.keys), -1)
    for number, span in enumerate(spans):
        start, stop = (int(end) for end in span)
        if not 0 <= start < stop <= len(owner) or (owner[start:stop] >= 0).any():
            raise InputError(
                f"A span is first and past-the-last position of 0 to {len(owner)}, apart from the others; got {span!r}."
            )
        owner[start:stop] = number
    inside = owner >= 0
    scores = pattern_scores(
        c,
        {
            "share": Given(lambda positions, _: inside & ~inside[positions, None]),
            "within": Given(
                lambda positions, _: (
                    (owner[positions, None] == owner)
                    & inside[positions, None]
                    & (np.arange(len(owner)) != positions[:, None])
                )
            ),
        },
        kind,
        content=content,
    )
    return table(
        [
            {"layer": number, "head": head}
            | {
                column: float(values[row, head])
                for name, score in scores.items()
                for column, values in ((name, score.mass), (f"{name}_chance", score.chance))
            }
            for row, (number, layer) in enumerate(attention.stored.items())
            for head in range(layer.n_heads)
        ]
    )
