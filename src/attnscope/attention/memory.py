"""Whether an answer fits in memory, asked before it is computed."""

from __future__ import annotations

import os
from pathlib import Path

from attnscope.errors import TooLargeError

SMALL = 1 << 28
"""Bytes below which nobody is asked."""


def require_memory(nbytes: int, what: str, instead: str) -> None:
    """Refuse an answer that would take more memory than is free, where the system says how much that is."""
    free = None if nbytes < SMALL else free_bytes()
    if free is not None and nbytes > free:
        raise TooLargeError(f"{what} would take {nbytes / 1e9:.1f} GB and {free / 1e9:.1f} GB are free. {instead}.")


def free_bytes() -> int | None:
    """Memory that can be had, what the system only keeps of files among it; None where the system does not say."""
    try:
        told = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines())
        return int(told["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        pass
    if not hasattr(os, "sysconf") or "SC_AVPHYS_PAGES" not in os.sysconf_names:
        return None
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
