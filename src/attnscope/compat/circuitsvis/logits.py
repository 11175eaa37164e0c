"""Not about attention: CircuitsVis's own, where that is installed."""

from attnscope.compat.circuitsvis.elsewhere import theirs

__getattr__ = theirs("logits")
