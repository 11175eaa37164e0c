"""Logits attributed to heads against TransformerLens's, on a model both load from the same files."""

from __future__ import annotations

import numpy as np
import pytest

from attnscope import capture
from attnscope.analysis import logit_attribution
from attnscope.attention.arrays import to_float32
from attnscope.recording import small

pytest.importorskip("transformer_lens", reason="TransformerLens has an environment of its own; see README.md here")

from transformer_lens.model_bridge import TransformerBridge
from transformers import AutoTokenizer

TEXT = "the cat saw a small red bird near the old house . the cat saw a small red bird near the"


def folded(model, c, target, against):
    """What TransformerLens counts among the biases, not the heads: those of the values and of the norm before them."""
    stream = c["self"].stream
    readout, found = stream.readout, []
    unembedding = dict(zip(readout.ids.tolist(), to_float32(readout.rows), strict=True))
    end = to_float32(readout.residual)[-1]
    u = readout.norm.toward(unembedding[target] - unembedding[against]) / readout.norm.scale(end)
    for layer, write in stream.writes.items():
        block = model.transformer.h[layer]
        heads, width, size = write.output.shape
        biases = block.attn.c_attn.bias + block.ln_1.bias @ block.attn.c_attn.weight
        values = biases[2 * size :].detach().numpy().reshape(heads, width)
        found.append(np.einsum("hd,hdm,m->h", values, to_float32(write.output), u))
    return np.stack(found)


def test_each_head_adds_what_theirs_does(tmp_path):
    model, tokenizer = small.load()
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    bridge = TransformerBridge.boot_transformers(str(tmp_path), tokenizer=AutoTokenizer.from_pretrained(tmp_path))
    bridge.enable_compatibility_mode()
    old, red = tokenizer.convert_tokens_to_ids(["old", "red"])
    logits, cache = bridge.run_with_cache(TEXT)
    theirs = cache.logit_attrs(
        cache.stack_head_results(layer=-1, pos_slice=-1), tokens=old, incorrect_tokens=red, pos_slice=-1
    )
    c = capture(model, tokenizer, TEXT, values=True)
    ours = logit_attribution(c, -1, old, against=red)
    assert ours.logit == pytest.approx(float((logits[0, -1, old] - logits[0, -1, red]).detach()), abs=1e-4)
    mine = ours.heads - folded(model, c, old, red)
    np.testing.assert_allclose(mine, theirs.detach().numpy().reshape(2, 4), rtol=0, atol=1e-4)
    assert mine.argmax() == theirs.argmax()
