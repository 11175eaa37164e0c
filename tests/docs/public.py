"""The public names, and the examples in their docstrings."""

from __future__ import annotations

import doctest
import inspect
from types import ModuleType
from typing import Any

import attnscope
import attnscope.compat.circuitsvis.attention
from attnscope import analysis, errors, plot
from attnscope.compat import bertviz, circuitsvis
from attnscope.compat.bertviz import neuron_view

WITHOUT_DOCSTRING = {"attnscope.analysis.STATISTICS"}
"""A dict: its entries are in the examples of ``Statistic`` and ``statistic``."""


def names() -> dict[str, Any]:
    """Give every public function and class under the name users import it by."""
    found: dict[str, Any] = {}
    for module in (attnscope, analysis, plot, errors, bertviz, circuitsvis.attention, neuron_view):
        for name in _listed(module):
            value = getattr(module, name)
            if not isinstance(value, ModuleType):
                found[f"{module.__name__}.{name}"] = value
    return found


def _listed(module: ModuleType) -> list[str]:
    if hasattr(module, "__all__"):
        return list(module.__all__)
    wanted = inspect.isclass if module is errors else inspect.isfunction
    here = inspect.getmembers(module, lambda value: wanted(value) and value.__module__ == module.__name__)
    return [name for name, _ in here if not name.startswith("_")]


def examples() -> list[doctest.DocTest]:
    """Parse the docstrings of all public names, each as users find it."""
    parser = doctest.DocTestParser()
    return [
        parser.get_doctest(inspect.getdoc(value) or "", {}, name, inspect.getsourcefile(value), 0)
        for name, value in names().items()
        if name not in WITHOUT_DOCSTRING
    ]
