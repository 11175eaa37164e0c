"""Models whose weights are set by hand, so that what each head does is known on paper.

``gpt2()`` is a stock GPT-2 of 2 layers × 6 heads without feed-forward parts. Its residual stream holds four one-hot
slots: the token, the position, the previous token, the output. Each is mirrored as ``[u, -u]``, so that a layer norm's
mean is 0 and its scale a constant, which the norm's gain divides out: every head reads the slots as they are. A score
that should win is ``SHARP`` above the others, so wrong weights are below ``exp(-SHARP / 2)``, 2e-9.

``llama()`` is a stock Llama of one layer whose heads look back by a fixed distance through the rotary positions alone.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

SHARP = 40.0
VOCABULARY, POSITIONS, WIDTH, HEADS = 16, 48, 480, 6
HEAD_WIDTH = WIDTH // HEADS
BOS = 0

PREVIOUS, DUPLICATE, SELF, UNIFORM, SINK, HALF = [(0, head) for head in range(6)]
INDUCTION = (1, 0)
"""What each head does; the others of layer 1 are uniform and write nothing.

The duplicate head looks at earlier occurrences of its token, the induction head at the tokens after them, both at the
first token where there is none. The half head looks half at the previous token and half at its own.
"""

OFFSETS = (0, 1, 2, 5)
"""How far back each head of ``llama()`` looks."""

_TOKEN, _POSITION, _EARLIER, _OUTPUT = 0, VOCABULARY, VOCABULARY + POSITIONS, 2 * VOCABULARY + POSITIONS
"""First dimension of each slot."""
_MIRROR = 3 * VOCABULARY + POSITIONS


@cache
def tokenizer() -> Any:
    """Letters ``a`` to ``o`` as tokens 1 to 15, ``<s>`` before every text."""
    pieces = ["<s>", *"abcdefghijklmno"]
    letters = Tokenizer(models.WordLevel({piece: i for i, piece in enumerate(pieces)}, unk_token="<s>"))
    letters.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    letters.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", BOS)])
    return PreTrainedTokenizerFast(tokenizer_object=letters, bos_token="<s>", pad_token="<s>")


def repeated(length: int = 10, times: int = 3, seed: int = 0) -> str:
    """Different letters in random order, the same row of them again and again."""
    drawn = np.random.default_rng(seed).permutation(list("abcdefghijklmno"))[:length]
    return " ".join([*drawn] * times)


def random_letters(length: int = 30, seed: int = 0) -> str:
    """Letters drawn one by one."""
    return " ".join(np.random.default_rng(seed).choice(list("abcdefghijklmno"), length))


@cache
def gpt2() -> Any:
    """The GPT-2; its logits are ``SHARP`` on the token the induction head found, and 0 without it."""
    config = GPT2Config(
        vocab_size=VOCABULARY, n_positions=POSITIONS, n_embd=WIDTH, n_layer=2, n_head=HEADS, n_inner=1,
        tie_word_embeddings=False, bos_token_id=BOS, eos_token_id=BOS,
        resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0,
    )  # fmt: skip
    model = GPT2LMHeadModel(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        _write(model.transformer.wte.weight, _TOKEN)
        _write(model.transformer.wpe.weight, _POSITION)
        norms = [model.transformer.h[0].ln_1, model.transformer.h[1].ln_1, model.transformer.ln_f]
        for norm, slots in zip(norms, (2, 3, 4), strict=True):
            norm.weight.fill_((2 * slots / WIDTH + config.layer_norm_epsilon) ** 0.5)
        first, second = model.transformer.h[0].attn, model.transformer.h[1].attn
        here, letters = torch.eye(POSITIONS), torch.eye(VOCABULARY)
        before = torch.diag(torch.ones(POSITIONS - 1), 1)  # one-hot p to one-hot p - 1
        _read(first, PREVIOUS, query=[(_POSITION, before, 0)], key=[(_POSITION, here, 0)], value=letters, to=_EARLIER)
        _read(
            first,
            DUPLICATE,
            query=[(_TOKEN, letters, 0), (_POSITION, -here, VOCABULARY)],
            key=[(_TOKEN, letters, 0), (_POSITION, here, VOCABULARY)],
            bos=0.5,
        )
        _read(first, SELF, query=[(_POSITION, here, 0)], key=[(_POSITION, here, 0)])
        _read(first, SINK, bos=1.0)
        _read(first, HALF, query=[(_POSITION, before, 0), (_POSITION, here, 0)], key=[(_POSITION, here, 0)])
        _read(
            second,
            INDUCTION,
            query=[(_TOKEN, letters, 0)],
            key=[(_EARLIER, letters, 0)],
            value=letters,
            to=_OUTPUT,
            bos=0.5,
        )
        model.lm_head.weight[:, _OUTPUT : _OUTPUT + VOCABULARY] = SHARP * letters
    return model


def _write(table: torch.Tensor, slot: int) -> None:
    """Let row ``i`` of an embedding be one-hot ``i`` in a slot, mirrored."""
    size = len(table)
    table[:, slot : slot + size] += torch.eye(size)
    table[:, _MIRROR + slot : _MIRROR + slot + size] -= torch.eye(size)


def _read(
    attention: Any,
    place: tuple[int, int],
    *,
    query: list[tuple[int, torch.Tensor, int]] = (),
    key: list[tuple[int, torch.Tensor, int]] = (),
    value: torch.Tensor | None = None,
    to: int = 0,
    bos: float = 0.0,
) -> None:
    """Set one head.

    Parameters
    ----------
    query, key
        What is read: a slot, the matrix it goes through from the slot's place ``p`` to the row read there, and the
        first dimension of the head it lands in.
    value, to
        How the token is moved, and into which slot.
    bos
        Score of the first token for every query, as a share of ``SHARP``.
    """
    first = place[1] * HEAD_WIDTH
    for matrices, block, factor in ((query, 0, SHARP * HEAD_WIDTH**0.5), (key, 1, 1.0)):
        for slot, matrix, offset in matrices:
            rows, columns = matrix.T.shape
            start = block * WIDTH + first + offset
            attention.c_attn.weight[slot : slot + rows, start : start + columns] += factor * matrix.T
    if bos:
        last = first + HEAD_WIDTH - 1
        attention.c_attn.bias[last] = bos * SHARP * HEAD_WIDTH**0.5
        attention.c_attn.weight[_TOKEN + BOS, WIDTH + last] = 1.0
    if value is not None:
        start = 2 * WIDTH + first
        attention.c_attn.weight[_TOKEN : _TOKEN + VOCABULARY, start : start + VOCABULARY] = value
        attention.c_proj.weight[first : first + VOCABULARY, to : to + VOCABULARY] = torch.eye(VOCABULARY)
        mirrored = slice(_MIRROR + to, _MIRROR + to + VOCABULARY)
        attention.c_proj.weight[first : first + VOCABULARY, mirrored] = -torch.eye(VOCABULARY)


@cache
def llama() -> Any:
    """The Llama: 4 heads in 2 groups; head ``h`` looks ``OFFSETS[h]`` tokens back, whatever the tokens are."""
    width, planes = 32, 16
    config = LlamaConfig(
        vocab_size=VOCABULARY, hidden_size=4 * width, num_hidden_layers=1, num_attention_heads=4,
        num_key_value_heads=2, head_dim=width, intermediate_size=1, max_position_embeddings=128,
        attention_bias=True, bos_token_id=BOS, eos_token_id=None, pad_token_id=None,
    )  # fmt: skip
    torch.manual_seed(0)
    model = LlamaForCausalLM(config).eval()
    attention = model.model.layers[0].self_attn
    frequencies = torch.tensor(angles(planes))
    with torch.no_grad():
        for projection in (attention.q_proj, attention.k_proj, attention.v_proj, attention.o_proj):
            projection.weight.zero_()
            projection.bias.zero_()
        for group in range(2):
            attention.k_proj.bias[group * width : group * width + planes] = 1.0
        for head, offset in enumerate(OFFSETS):
            turned = torch.cat([torch.cos(-offset * frequencies), torch.sin(-offset * frequencies)])
            attention.q_proj.bias[head * width : (head + 1) * width] = SHARP * width**0.5 * turned
    return model


def angles(planes: int = 16, base: float = 10_000.0) -> np.ndarray:
    """Radians each rotary plane turns per position."""
    return base ** (-np.arange(planes) / planes)


def llama_weights(n: int) -> np.ndarray:
    """What ``llama()`` attends to, in closed form: ``A_ij ∝ exp(SHARP · Σ_f cos θ_f (i - j - offset))``.

    Returns
    -------
    numpy.ndarray
        float64 [heads, queries, keys].
    """
    distance = np.subtract.outer(np.arange(n), np.arange(n))
    turns = np.stack([distance - offset for offset in OFFSETS])
    scores = SHARP * np.cos(angles() * turns[..., None]).sum(axis=-1)
    scores = np.where(distance >= 0, scores, -np.inf)
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)
