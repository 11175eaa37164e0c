"""Whether an answer fits in memory, asked before it is computed."""

from __future__ import annotations

import os

from attnscope.errors import TooLargeError


def require_memory(nbytes: int, what: str, instead: str) -> None:
    """Refuse an answer that would take more memory than is free, where the system says how much that is."""
    if nbytes < 1 << 28 or not hasattr(os, "sysconf") or "SC_AVPHYS_PAGES" not in os.sysconf_names:
        return
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if nbytes > free:
        raise TooLargeError(f"{what} would take {nbytes / 1e9:.1f} GB and {free / 1e9:.1f} GB are free. {instead}.")
