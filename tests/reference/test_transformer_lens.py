"""Detectors of head roles against TransformerLens's, on models both load from the same files."""

from __future__ import annotations

import numpy as np
import pytest

from attnscope import analysis, capture
from attnscope.recording import small
from tests.models import handbuilt

pytest.importorskip("transformer_lens", reason="TransformerLens has an environment of its own; see README.md here")

from transformer_lens import head_detector
from transformer_lens.model_bridge import TransformerBridge
from transformers import AutoTokenizer

PATTERNS = ("previous_token", "duplicate_token", "induction")
MODELS = {
    "set by hand": (lambda: (handbuilt.gpt2(), handbuilt.tokenizer()), handbuilt.repeated()),
    "set by hand, random letters": (lambda: (handbuilt.gpt2(), handbuilt.tokenizer()), handbuilt.random_letters()),
    "trained": (small.load, "the cat saw a small red bird near the old house . the cat saw a small red bird near the"),
}


@pytest.fixture(scope="module", params=MODELS, ids=str)
def both(request, tmp_path_factory):
    """Our capture, their model, and the text."""
    load, text = MODELS[request.param]
    model, tokenizer = load()
    folder = tmp_path_factory.mktemp("model")
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    bridge = TransformerBridge.boot_transformers(str(folder), tokenizer=AutoTokenizer.from_pretrained(folder))
    ours = capture(model, tokenizer, text)
    assert bridge.to_tokens(text)[0].tolist() == ours["self"].queries.ids.tolist()
    return ours, bridge, text


def test_weights(both):
    ours, bridge, text = both
    _, cache = bridge.run_with_cache(text)
    for layer in ours["self"].layers:
        theirs = cache["pattern", layer][0].detach().numpy()
        np.testing.assert_allclose(ours.weights(layer), theirs, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", PATTERNS)
def test_patterns(both, name):
    ours, bridge, text = both
    ask = getattr(head_detector, f"get_{name}_head_detection_pattern")
    theirs = ask(bridge.to_tokens(text).cpu()).numpy()
    ones = analysis.pattern_score(ours, theirs)
    mine = analysis.pattern_score(ours, name)
    np.testing.assert_array_equal(mine.rows, ones.rows)
    np.testing.assert_array_equal(mine.mass, ones.mass)


@pytest.mark.parametrize("name", PATTERNS)
def test_scores(both, name):
    ours, bridge, text = both
    theirs = head_detector.detect_head(bridge, text, f"{name}_head").numpy()
    score = analysis.pattern_score(ours, name)
    np.testing.assert_allclose(score.diluted, theirs, rtol=0, atol=1e-5)
    # Where a row in two can show the pattern, theirs is about half of ours.
    np.testing.assert_allclose(score.mass * score.rows / len(ours.tokens), theirs, rtol=0, atol=1e-5)
    assert np.unravel_index(score.mass.argmax(), theirs.shape) == np.unravel_index(theirs.argmax(), theirs.shape)
