"""Every notebook runs from top to bottom, offline, and is kept without outputs."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

OF_OTHERS = "IntSlider(", "profile: "
"""What widgets of other makers say they are: a slider, and a progress bar."""
NOTEBOOKS = sorted((Path(__file__).parent.parent.parent / "notebooks").glob("*.ipynb"))


def test_there_is_a_place_to_start():
    assert "start-here.ipynb" in [path.name for path in NOTEBOOKS]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_is_kept_without_outputs(path):
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert cell.outputs == []
            assert cell.execution_count is None


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_runs(path, tmp_path, minilm):
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    shown = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    widgets = [o for o in shown if "application/vnd.jupyter.widget-view+json" in o.get("data", {})]
    views = [o for o in widgets if not o["data"]["text/plain"].startswith(OF_OTHERS)]
    assert views
    for view in views:
        assert {"image/png", "text/html", "text/plain"} <= set(view["data"])
    assert not [o for o in shown if o.output_type == "stream" and o.name == "stderr" and "Error" in o.text]
