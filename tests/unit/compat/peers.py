"""The packages whose calls are taken over, where they are installed."""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any

import pytest


def peer(name: str) -> Any:
    """Import one, or skip; where everything has to be installed, fail."""
    if os.environ.get("CI"):
        return import_module(name)
    return pytest.importorskip(name, reason=f"{name} comes with attnscope[test]")
