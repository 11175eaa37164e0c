"""The calls of BertViz and CircuitsVis, shown by attnscope: existing code works with one import changed.

>>> from attnscope.compat.bertviz import head_view, model_view             # doctest: +SKIP
>>> import attnscope.compat.circuitsvis as cv                              # doctest: +SKIP
"""
