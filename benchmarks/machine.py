"""What a reader has to know of the machine: its cores, its memory, the versions; no names, no paths."""

from __future__ import annotations

import os
import platform
from importlib.metadata import distributions
from pathlib import Path

PACKAGES = ("attnscope", "torch", "transformers", "numpy", "bertviz", "circuitsvis", "playwright")


def facts() -> dict[str, str]:
    """Give each fact under its name, in words."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    found = {"system": f"{platform.system()} on {platform.machine()}", "cores": str(usable)}
    memory = total_memory()
    if memory:
        found["memory"] = f"{memory / 2**30:.0f} GiB"
    found["Python"] = platform.python_version()
    installed = {each.name.lower(): each.version for each in distributions() if each.name}
    return found | {name: installed[name] for name in PACKAGES if name in installed}


def total_memory() -> int:
    """Bytes of memory the machine has; 0 where the system does not tell."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return 0


def free_memory() -> int:
    """Bytes that could be had without swapping; 0 where the system does not tell."""
    try:
        told = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines())
        return int(told["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        return 0
