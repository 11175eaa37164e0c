"""What the viewers are called, and what the page of attnscope shows first where it is compared with theirs."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import attnscope

US = "attnscope"
LAYER = "attnscope, a layer's heads"
SAVED = "attnscope, saved page"
HEAD_VIEW = "BertViz, head view"
MODEL_VIEW = "BertViz, model view"
CIRCUITS = "CircuitsVis, one layer"


def first_layer(capture: attnscope.Capture) -> list[list[int]]:
    """All heads of layer 0, as BertViz's head view shows them."""
    return [[0, head] for head in range(capture.n_heads)]
