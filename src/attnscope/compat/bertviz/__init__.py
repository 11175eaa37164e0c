"""BertViz's calls: the same arguments, shown by attnscope.

Works like version 1.4.1 of BertViz, except that every input of a batch is shown, layers may differ in their number of
heads, encoder and decoder in their number of layers, arrays may be of any library and dtype, and ``html_action`` may
also be ``"widget"`` for the live widget.
"""

from attnscope.compat.bertviz import neuron_view
from attnscope.compat.bertviz.head_view import head_view
from attnscope.compat.bertviz.model_view import model_view

__all__ = ["head_view", "model_view", "neuron_view"]
