"""Questions about a capture: a capture in, arrays and small tables out.

Every function takes a capture first and ``kind=`` last. Arrays have one row per layer that has attention, in the order
of ``capture[kind].layers``, and one column per head; where layers differ in their number of heads, missing heads are
NaN. Rows of attention in which a query sees no key never count.
"""

from attnscope.analysis.distance import mean_distance
from attnscope.analysis.entropy import entropy
from attnscope.analysis.find_heads import HeadHit, find_heads
from attnscope.analysis.head_table import head_table
from attnscope.analysis.local_share import local_share
from attnscope.analysis.max_weight import max_weight
from attnscope.analysis.offsets import next_token, previous_token, self_share
from attnscope.analysis.sinks import sink_share, special_share
from attnscope.analysis.top_keys import KeyHit, top_keys

__all__ = [
    "HeadHit",
    "KeyHit",
    "entropy",
    "find_heads",
    "head_table",
    "local_share",
    "max_weight",
    "mean_distance",
    "next_token",
    "previous_token",
    "self_share",
    "sink_share",
    "special_share",
    "top_keys",
]
