"""What the examples of the reference start from: the code its first page shows."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path
from typing import Any

INDEX = Path(__file__).parent.parent.parent / "docs" / "index.rst"


def namespace() -> dict[str, Any]:
    """Run the code of docs/index.rst and give the names it makes."""
    (code,) = re.findall(r"\.\. code-block:: python\n\n((?:   .*\n|\n)+)", INDEX.read_text("utf-8"))
    made: dict[str, Any] = {}
    exec(compile(textwrap.dedent(code), str(INDEX), "exec"), made)
    return made
