"""CircuitsVis's calls about attention: the same arguments, shown by attnscope.

Works like version 1.43.3 of CircuitsVis, except that a batch shows every input, tokens and weights must match, and the
shown part is seen from the weights. What is not about attention (``tokens``, ``activations``, ``logits`` …) is
CircuitsVis's own, where that is installed.
"""

from attnscope.compat.circuitsvis import (
    activations,
    attention,
    examples,
    logits,
    tokens,
    topk_samples,
    topk_tokens,
)

__all__ = ["activations", "attention", "examples", "logits", "tokens", "topk_samples", "topk_tokens"]
