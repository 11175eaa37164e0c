"""Figures for papers, made with matplotlib from the same numbers the widget shows.

Every function takes a capture or the result of an analysis, draws into ``ax`` where one is given, and returns the
figure: ``plot.heatmap(c, 3, 1).savefig("head.pdf")``. pyplot is not used and its state not touched. Tokens are always
drawn as text: nothing in them is read as mathematics or TeX.
"""

from importlib.util import find_spec

from attnscope.errors import MissingPackageError

if find_spec("matplotlib") is None:
    raise MissingPackageError(
        'attnscope.plot draws with matplotlib, which is not installed. Install it with: pip install "attnscope[plot]".'
    )

from attnscope.plot.alignment import alignment
from attnscope.plot.entropy import entropy
from attnscope.plot.evolution import evolution
from attnscope.plot.head_grid import head_grid
from attnscope.plot.heatmap import difference, heatmap
from attnscope.plot.playing import scaling, temperature

__all__ = ["alignment", "difference", "entropy", "evolution", "head_grid", "heatmap", "scaling", "temperature"]
