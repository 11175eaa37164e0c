"""How much each head looks at classes of tokens: special ones, separators, punctuation, or any other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from attnscope.analysis.blocks import walk
from attnscope.analysis.measures import Share
from attnscope.analysis.rows import attention_of, head_mean
from attnscope.analysis.tables import table
from attnscope.analysis.targets import Class, is_first, is_punctuation, is_separator, is_special
from attnscope.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from attnscope.attention.capture import Capture
    from attnscope.attention.tokens import Tokens


def special_share(c: Capture, *, kind: str | None = None) -> np.ndarray:
    """Weight on special tokens (``[CLS]``, ``</s>`` …), mean over all queries that see one.

    Returns
    -------
    numpy.ndarray
        float32 [layers, heads]; NaN throughout where there are no special tokens.

    Examples
    --------
    >>> analysis.special_share(c).round(2)
    array([[0.22, 0.17, 0.12, 0.12],
           [0.12, 0.09, 0.07, 0.1 ]], dtype=float32)
    """
    return head_mean(c, Share(Class(is_special)), kind)


def separator_share(c: Capture, *, kind: str | None = None) -> np.ndarray:
    """Weight on special tokens after the first token (``[SEP]``, ``</s>`` …), mean over all queries that see one.

    Returns
    -------
    numpy.ndarray
        float32 [layers, heads]; NaN throughout where there are none.

    Examples
    --------
    >>> analysis.separator_share(translation, kind="encoder").round(2)
    array([[0.31, 0.07]], dtype=float32)
    """
    return head_mean(c, Share(Class(is_separator)), kind)


def punctuation_share(c: Capture, *, content: bool = False, kind: str | None = None) -> np.ndarray:
    """Weight on tokens of nothing but punctuation, mean over all queries that see one.

    Parameters
    ----------
    content
        Leave special tokens out on both sides, and scale what is left of each row to sum 1.

    Returns
    -------
    numpy.ndarray
        float32 [layers, heads]; NaN throughout where there is none.

    Examples
    --------
    >>> analysis.punctuation_share(c).round(2)
    array([[0.12, 0.12, 0.11, 0.19],
           [0.17, 0.17, 0.12, 0.12]], dtype=float32)
    """
    return head_mean(c, Share(Class(is_punctuation)), kind, content=content)


def class_table(
    c: Capture, classes: Mapping[str, Sequence[int] | np.ndarray] | None = None, *, kind: str | None = None
) -> Any:
    """Weight from each class of tokens to each other, for every head (Clark et al. 2019; Vig & Belinkov 2019).

    Parameters
    ----------
    classes
        Per class the positions of its tokens, or bool [tokens]; each token is in at most one class. None for the first
        token, separators, punctuation and words. Where queries and keys are different tokens, the classes are of keys,
        and queries are of one class, ``"query"``.

    Returns
    -------
    pandas.DataFrame or list of dict
        Per head and pair of classes: ``layer``, ``head``, ``from``, ``to``, mean ``share`` of weight, its ``chance``
        level, and the number of ``rows`` it is a mean of. Pairs that no query sees are left out.

    Raises
    ------
    InputError
        For a class of positions that are not there, or a token in two classes.

    Examples
    --------
    >>> nouns = [i for i, token in enumerate(c.tokens) if token in ("cat", "bird")]
    >>> table = analysis.class_table(c, {"noun": nouns})
    >>> table[["layer", "head", "from", "to", "share"]].head(3).round(2)
       layer  head  from    to  share
    0      0     0  noun  noun   0.29
    1      0     1  noun  noun   0.05
    2      0     2  noun  noun   0.01
    """
    attention = attention_of(c, kind)
    key_class, names = _numbers(attention.keys, classes)
    same = attention.queries is attention.keys
    query_class, query_names = (key_class, names) if same else (np.zeros(len(attention.queries), int), ["query"])
    marks = (key_class[:, None] == np.arange(len(names))).astype(np.float32)
    shape = (attention.n_layers, attention.n_heads, len(query_names), len(names))
    share, chance, count = np.zeros(shape), np.zeros(shape), np.zeros(shape, np.int64)
    for row, head, rows in walk(attention):
        mass = rows.weights @ marks
        seen = rows.block.allowed.astype(np.float32) @ marks
        for number in range(len(query_names)):
            mine = query_class[rows.positions] == number
            sees = seen[mine] > 0
            share[row, head, number] += np.where(sees, mass[mine], 0).sum(axis=0, dtype=np.float64)
            chance[row, head, number] += (seen[mine] / rows.seen[mine, None]).sum(axis=0, dtype=np.float64)
            count[row, head, number] += sees.sum(axis=0)
    numbers = attention.layers
    return table(
        [
            {
                "layer": numbers[row],
                "head": head,
                "from": query_names[a],
                "to": names[b],
                "share": share[row, head, a, b] / count[row, head, a, b],
                "chance": chance[row, head, a, b] / count[row, head, a, b],
                "rows": int(count[row, head, a, b]),
            }
            for row, head, a, b in np.argwhere(count).tolist()
        ],
        ["layer", "head", "from", "to", "share", "chance", "rows"],
    )


def _numbers(tokens: Tokens, classes: Mapping[str, Sequence[int] | np.ndarray] | None) -> tuple[np.ndarray, list[str]]:
    """Number of each token's class, -1 for tokens of none, and the names of the classes."""
    if classes is None:
        first, separator, punctuation = is_first(tokens), is_separator(tokens), is_punctuation(tokens)
        punctuation &= ~first
        rest = ~(first | separator | punctuation)
        classes = {"first": first, "separator": separator, "punctuation": punctuation, "word": rest}
    found = np.full(len(tokens), -1)
    for number, (name, positions) in enumerate(classes.items()):
        marked = np.asarray(positions)
        if marked.dtype == bool:
            marked = np.flatnonzero(marked) if marked.shape == found.shape else np.array([len(found)])
        if marked.size and (marked.dtype.kind not in "iu" or marked.min() < 0 or marked.max() >= len(found)):
            raise InputError(
                f"The class {name!r} is not of this text's {len(found)} tokens. Give positions from 0 to "
                f"{len(found) - 1}, or one bool per token."
            )
        marked = marked.astype(np.int64)
        if (found[marked] >= 0).any():
            raise InputError(f"A token of the class {name!r} is in an earlier class too. Put each token in one class.")
        found[marked] = number
    return found, list(classes)
