"""Running a model again with something changed: heads switched off, links cut, weights that carry gradients."""

from attnscope.recording.intervene.attribute import attribute
from attnscope.recording.intervene.gradients import by_kind, gate_gradients, weight_gradients
from attnscope.recording.intervene.readout import names
from attnscope.recording.intervene.rebuilt import inputs_of, require_same
from attnscope.recording.intervene.runs import (
    Reading,
    mean_outputs,
    unchanged,
    with_heads,
    with_inputs,
    with_keys_hidden,
    with_links_cut,
)
from attnscope.recording.intervene.subject import Subject, prepare, reread

__all__ = [
    "Reading",
    "Subject",
    "attribute",
    "by_kind",
    "gate_gradients",
    "inputs_of",
    "mean_outputs",
    "names",
    "prepare",
    "require_same",
    "reread",
    "unchanged",
    "weight_gradients",
    "with_heads",
    "with_inputs",
    "with_keys_hidden",
    "with_links_cut",
]
