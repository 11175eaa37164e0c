"""What is left to do when the cell that shows a widget has run."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


def at_cell_end(run: Callable[[bool], object]) -> None:
    """Call a function once, when the cell that runs now has run; where no notebook runs cells, never.

    Parameters
    ----------
    run
        Told whether a reader is waiting at a page, who can be sent things later, when the page has come to rest. A
        program that runs notebooks only keeps what it gets before the cell ends.
    """
    shell = _notebook_shell()
    if shell is None:
        return

    def end(*_: Any) -> None:
        shell.events.unregister("post_run_cell", end)
        run(_is_watched(shell))

    shell.events.register("post_run_cell", end)


def _notebook_shell() -> Any:
    """Give the shell whose outputs go into a notebook; Voila's go nowhere else than to its page."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    if getattr(shell, "kernel", None) is None or os.environ.get("SERVER_SOFTWARE", "").startswith("voila"):
        return None
    return shell


def _is_watched(shell: Any) -> bool:
    """Whether a notebook on screen asked for this cell: such hosts name it, programs that run notebooks do not."""
    try:
        return "cellId" in shell.kernel.get_parent()["metadata"]
    except (AttributeError, KeyError, TypeError):
        return False
