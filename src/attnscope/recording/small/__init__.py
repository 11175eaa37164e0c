"""A small trained model that ships with attnscope, for demos and tests where no other can be had.

A GPT-2 of 2 layers × 4 heads without feed-forward parts, trained on random word sequences that repeat. To say what
comes next it must find the word's earlier occurrence and copy what followed it: a head of layer 0 looks at the previous
token, and heads of layer 1 use that to look one past the earlier occurrence (induction; Olsson et al. 2022).
``python -m attnscope.recording.small.train`` makes the weights again.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from attnscope.recording.shipped import with_weights, word_tokenizer

WORDS = """
    the a cat dog bird mouse fox hen child king queen it she he they was is saw ate liked found lost sat ran slept
    on in under near by mat tree house river hill road tired hungry happy old small red blue because while and then .
""".split()  # noqa: SIM905
BOS = "<s>"
N_POSITIONS = 48
WEIGHTS = Path(__file__).parent / "weights.safetensors"


def load() -> tuple[Any, Any]:
    """Load the model and its tokenizer.

    Returns
    -------
    transformers.GPT2LMHeadModel, transformers.PreTrainedTokenizerFast
        In eval mode, float32. The tokenizer splits at white space and knows 48 words.
    """
    return with_weights(build(), WEIGHTS), tokenizer()


def build() -> Any:
    """Make the model untrained, its feed-forward parts frozen at zero."""
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(
        vocab_size=len(WORDS) + 1,
        n_positions=N_POSITIONS,
        n_embd=64,
        n_layer=2,
        n_head=4,
        n_inner=1,
        initializer_range=0.1,
        tie_word_embeddings=False,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        bos_token_id=0,
        eos_token_id=0,
    )
    model = GPT2LMHeadModel(config)
    for name, parameter in model.named_parameters():
        if ".mlp." in name:
            parameter.data.zero_()
            parameter.requires_grad_(requires_grad=False)
    model.name_or_path = "attnscope small"
    return model


def tokenizer() -> Any:
    """Make the tokenizer: one token per word, the start token put before every text."""
    return word_tokenizer([BOS, *WORDS], f"{BOS} $A", [BOS], bos_token=BOS, pad_token=BOS, model_max_length=N_POSITIONS)
