"""What a picture shows, in words: for those who cannot see it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attnscope.export.headname import spoken_head_name
from attnscope.export.labels import spoken
from attnscope.export.measures import noun_of
from attnscope.export.windows import strongest

if TYPE_CHECKING:
    from attnscope.export.scene import Scene
    from attnscope.export.series import Series

MOST_SEARCHED = 512
"""Most tokens among which the strongest link is looked for where none is pinned."""
MOST_HEADS = 3


def say_rows(scene: Scene) -> str:
    """Say what the pinned token attends to, or who attends to it, head by head."""
    said = []
    for one in scene.series[-MOST_HEADS:]:
        name = spoken_head_name(scene.attention, one.heads[0]) if one.aggregate == "none" else one.name
        said.append(f"{name}{scene.of_model}: {_finding(scene, one)}")
    more = f" And {len(scene.series) - MOST_HEADS} more heads." if len(scene.series) > MOST_HEADS else ""
    return f"Attention between {counts(scene)}. {' '.join(said)}{more}"


def counts(scene: Scene) -> str:
    """Say how many tokens there are."""
    what = "words" if scene.look.whole_words else "tokens"
    if scene.is_one_text:
        return f"{len(scene.queries):,} {what}"
    return f"{len(scene.queries):,} query {what} and {len(scene.keys):,} key {what}"


def unit_of(scene: Scene) -> str:
    """Name the numbers of a sentence, unless they are weights."""
    return "" if scene.look.measure == "weights" else f"{noun_of(scene.look.measure)} "


def said_best(scene: Scene, side: str, values: np.ndarray, count: int = 3) -> list[str]:
    """Name the tokens of a side with the largest numbers, and these."""
    text = scene.axis(side).text
    return [f"{spoken(text[int(at)])} ({unit_of(scene)}{values[at]:.3f})" for at in strongest(values, count)]


def _finding(scene: Scene, one: Series) -> str:
    queries, keys = scene.pinned["query"], scene.pinned["key"]
    if queries and keys:
        row = one.rows(np.array(queries[:1]))[0]
        value, asker = row[keys[0]], scene.said("query", queries[:1])
        if np.isnan(value):
            return f"{scene.said('key', keys[:1])} is hidden from {asker}."
        return f"{asker} attends to {scene.said('key', keys[:1])} with {unit_of(scene)}{value:.3f}."
    if queries:
        best = said_best(scene, "key", one.together("query", queries))
        name = scene.said("query", queries)
        after = f", then to {' and '.join(best[1:])}" if best[1:] else ""
        return f"{name} attends most to {best[0]}{after}." if best else f"{name} attends to no token."
    if keys:
        best = said_best(scene, "query", one.together("key", keys))
        name = scene.said("key", keys)
        after = f", then by {' and '.join(best[1:])}" if best[1:] else ""
        return f"{name} is attended to most by {best[0]}{after}." if best else f"no token attends to {name}."
    return _strongest_link(scene, one)


def _strongest_link(scene: Scene, one: Series) -> str:
    if max(len(scene.queries), len(scene.keys)) > MOST_SEARCHED:
        return "no token is pinned."
    values = one.rows(np.arange(len(scene.queries)))
    if np.isnan(values).all():
        return "no token attends to any."
    row, key = np.unravel_index(int(np.nanargmax(values)), values.shape)
    names = spoken(scene.queries.text[int(row)]), spoken(scene.keys.text[int(key)])
    return f"the strongest link is from {names[0]} to {names[1]} ({unit_of(scene)}{values[row, key]:.3f})."
