"""Questions about a capture: a capture in, arrays and small tables out.

Every function takes a capture first and ``kind=`` last. Arrays have one row per layer that has attention, in the order
of ``capture[kind].layers``, and one column per head; where layers differ in their number of heads, missing heads are
NaN. Rows of attention in which a query sees no key never count.

Some run the model again, with something changed or for its gradients: those take the model, its tokenizer and a text,
as ``capture()`` does, and leave the model as it was.

Many take ``content=True``: special tokens are left out as queries and as keys, and what is left of each row is scaled
to sum 1, which makes it the attention given that it goes to content.
"""

from attnscope.analysis.alignment import Alignment, alignment
from attnscope.analysis.alignment_error import GoldLinks, alignment_error_rate, parse_links, read_links
from attnscope.analysis.alti import alti
from attnscope.analysis.attends import assert_attends
from attnscope.analysis.beside import Beside, beside
from attnscope.analysis.causal.ablation import HeadEffects, ablate_heads, mean_outputs
from attnscope.analysis.causal.attributions import Attributions, attributions
from attnscope.analysis.causal.deletion import DeletionCurve, deletion_curve
from attnscope.analysis.causal.effect import Effect
from attnscope.analysis.causal.gradient import GradWeights, grad_weights
from attnscope.analysis.causal.importance import HeadImportance, head_importance
from attnscope.analysis.causal.links import cut_links
from attnscope.analysis.causal.relevance import Relevance, relevance
from attnscope.analysis.classes import class_table, punctuation_share, separator_share, special_share
from attnscope.analysis.clusters import head_clusters
from attnscope.analysis.compare import Comparison, compare
from attnscope.analysis.distance import mean_distance
from attnscope.analysis.drift import assert_no_drift, snapshot
from attnscope.analysis.entities import entity_heads
from attnscope.analysis.entropy import effective_keys, entropy
from attnscope.analysis.evolution import LayerEvolution, checkpoint_evolution, layer_evolution
from attnscope.analysis.find_heads import HeadHit, find_heads
from attnscope.analysis.flow import Flow, flow
from attnscope.analysis.head_table import head_table
from attnscope.analysis.health import Finding, health
from attnscope.analysis.likeness import LikeHead, head_distance, heads_like, heads_of, similar_heads
from attnscope.analysis.local_share import local_share
from attnscope.analysis.logit_attribution import LogitAttribution, logit_attribution
from attnscope.analysis.match_heads import HeadMatch, match_heads
from attnscope.analysis.max_weight import confidence, max_weight
from attnscope.analysis.norm_weighted import norm_weighted
from attnscope.analysis.offsets import Offsets, next_token, offset_share, previous_token, self_share, strongest_offset
from attnscope.analysis.patterns import PatternScore, pattern_score
from attnscope.analysis.received import attention_received
from attnscope.analysis.relations import relation_heads
from attnscope.analysis.repeats import duplicate_token, induction, repeated_random
from attnscope.analysis.roles import head_roles
from attnscope.analysis.rollout import rollout
from attnscope.analysis.shapes import pattern_shapes
from attnscope.analysis.sinks import sink_rate, sink_share
from attnscope.analysis.sparsity import gini, keys_needed, negligible_share
from attnscope.analysis.statistics import STATISTICS, Statistic, statistic
from attnscope.analysis.steps import Steps, steps
from attnscope.analysis.summary import summary
from attnscope.analysis.sums import Sums
from attnscope.analysis.teaching.causal import future_weight
from attnscope.analysis.teaching.lookup import SoftLookup, lookup_weight, soft_lookup
from attnscope.analysis.teaching.scaling import scaling_effect
from attnscope.analysis.teaching.temperature import TemperatureSweep, temperature_sweep
from attnscope.analysis.teaching.worked import WorkedAttention, masked_attention
from attnscope.analysis.top_keys import KeyHit, top_keys
from attnscope.analysis.value_weighted import value_weighted
from attnscope.analysis.variability import variability

__all__ = [
    "STATISTICS",
    "Alignment",
    "Attributions",
    "Beside",
    "Comparison",
    "DeletionCurve",
    "Effect",
    "Finding",
    "Flow",
    "GoldLinks",
    "GradWeights",
    "HeadEffects",
    "HeadHit",
    "HeadImportance",
    "HeadMatch",
    "KeyHit",
    "LayerEvolution",
    "LikeHead",
    "LogitAttribution",
    "Offsets",
    "PatternScore",
    "Relevance",
    "SoftLookup",
    "Statistic",
    "Steps",
    "Sums",
    "TemperatureSweep",
    "WorkedAttention",
    "ablate_heads",
    "alignment",
    "alignment_error_rate",
    "alti",
    "assert_attends",
    "assert_no_drift",
    "attention_received",
    "attributions",
    "beside",
    "checkpoint_evolution",
    "class_table",
    "compare",
    "confidence",
    "cut_links",
    "deletion_curve",
    "duplicate_token",
    "effective_keys",
    "entity_heads",
    "entropy",
    "find_heads",
    "flow",
    "future_weight",
    "gini",
    "grad_weights",
    "head_clusters",
    "head_distance",
    "head_importance",
    "head_roles",
    "head_table",
    "heads_like",
    "heads_of",
    "health",
    "induction",
    "keys_needed",
    "layer_evolution",
    "local_share",
    "logit_attribution",
    "lookup_weight",
    "masked_attention",
    "match_heads",
    "max_weight",
    "mean_distance",
    "mean_outputs",
    "negligible_share",
    "next_token",
    "norm_weighted",
    "offset_share",
    "parse_links",
    "pattern_score",
    "pattern_shapes",
    "previous_token",
    "punctuation_share",
    "read_links",
    "relation_heads",
    "relevance",
    "repeated_random",
    "rollout",
    "scaling_effect",
    "self_share",
    "separator_share",
    "similar_heads",
    "sink_rate",
    "sink_share",
    "snapshot",
    "soft_lookup",
    "special_share",
    "statistic",
    "steps",
    "strongest_offset",
    "summary",
    "temperature_sweep",
    "top_keys",
    "value_weighted",
    "variability",
]
