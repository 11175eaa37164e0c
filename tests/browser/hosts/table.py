"""The README's table of hosts: ``python -m tests.browser.hosts.table`` tests them all and writes it."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

from tests.browser.hosts.actions import FEATURES
from tests.browser.hosts.openers import OPENERS

TOP = Path(__file__).parents[3]
README = TOP / "README.md"
FROM, TO = "<!-- hosts: written by python -m tests.browser.hosts.table -->", "<!-- end of hosts -->"
PACKAGES = {"JupyterLab": "jupyterlab", "Notebook": "notebook", "marimo": "marimo", "Voila": "voila"}


def table(done: set[tuple[str, str]]) -> str:
    """Write the table of what passed, and why the rest is not tested."""
    notes: list[str] = []
    rows = [["", *(f"{name} {_version(name)}".strip() for name in OPENERS)], ["---"] * (len(OPENERS) + 1)]
    for feature in FEATURES:
        row = [feature.name]
        for name in OPENERS:
            if (name, feature.name) in done:
                row.append("✓")
                continue
            reason = feature.reasons.get(name, "does not work")
            if reason not in notes:
                notes.append(reason)
            row.append(f"({notes.index(reason) + 1})")
        rows.append(row)
    lines = [f"| {' | '.join(row)} |" for row in rows]
    told = "; ".join(f"({number}) {note}" for number, note in enumerate(notes, 1))
    return "\n".join([FROM, "", *lines, "", f"{told[:1]}{told[1:]}.", TO])


def _version(name: str) -> str:
    """The version that is tested, from what is pinned."""
    if name in PACKAGES:
        pinned = (TOP / ".ci/constraints.txt").read_text(encoding="utf-8")
        (version,) = re.findall(rf"^{PACKAGES[name]}==(\d+\.\d+)", pinned, re.MULTILINE)
        return str(version)
    if name == "VS Code":
        harness = json.loads((Path(__file__).parent / "vscode/package.json").read_text(encoding="utf-8"))
        return f"manager {harness['dependencies']['@vscode/jupyter-ipywidgets8']}"
    return "stand-in"


def main() -> int:
    """Test every host and write the table of what passed."""
    from tests.browser.hosts import test_hosts

    pytest.main(["-q", "-k", "not readme", test_hosts.__file__])
    text = README.read_text(encoding="utf-8")
    before, rest = text.split(FROM)
    README.write_text(before + table(test_hosts.done) + rest.partition(TO)[2], encoding="utf-8")
    print(f"wrote {README}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
