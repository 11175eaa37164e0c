"""Small models written by hand, as people write them; each keeps the weights it computed in ``seen``."""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional as F

WIDTH, HEADS, WORDS = 16, 4, 11


def dense(queries, keys, allowed=None, added=None, scale=None):
    """Weights as the definition has them, in float64."""
    scores = queries.double() @ keys.double().mT * (queries.shape[-1] ** -0.5 if scale is None else scale)
    if added is not None:
        scores = scores + added
    if allowed is not None:
        scores = scores.masked_fill(~allowed, -math.inf)
    return scores.softmax(-1)


class Keeps(nn.Module):
    """A module that keeps its weights, [batch, heads, queries, keys], for the test to compare."""

    seen: list[torch.Tensor]

    def keep(self, weights):
        self.seen = [*getattr(self, "seen", []), weights.detach()]


def split(x, heads=HEADS):
    return x.unflatten(-1, (heads, -1)).transpose(-3, -2)


class Fused(Keeps):
    """nanoGPT's: queries, keys and values at once, then ``scaled_dot_product_attention``."""

    def __init__(self, causal=True):
        super().__init__()
        self.causal = causal
        self.c_attn, self.c_proj = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)

    def forward(self, x):
        q, k, v = (split(part) for part in self.c_attn(x).chunk(3, -1))
        n = x.shape[-2]
        self.keep(dense(q, k, torch.ones(n, n, dtype=torch.bool).tril() if self.causal else None))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
        return self.c_proj(y.transpose(-3, -2).flatten(-2))


class Manual(Keeps):
    """minGPT's: scores masked, softmax, dropout, product; ``soft`` and ``weigh`` are the ways these are written."""

    def __init__(self, soft=lambda scores: F.softmax(scores, dim=-1), weigh=torch.matmul):
        super().__init__()
        self.query, self.key, self.value, self.proj = (nn.Linear(WIDTH, WIDTH) for _ in range(4))
        self.drop = nn.Dropout(0.1)
        self.soft, self.weigh = soft, weigh

    def forward(self, x):
        q, k, v = (split(layer(x)) for layer in (self.query, self.key, self.value))
        n = x.shape[-2]
        scores = (q @ k.mT * q.shape[-1] ** -0.5).masked_fill(torch.ones(n, n).triu(1).bool(), -math.inf)
        weights = self.soft(scores)
        self.keep(weights)
        return self.proj(self.weigh(self.drop(weights), v).transpose(-3, -2).flatten(-2))


class Head(Keeps):
    """One head by itself."""

    def __init__(self, fused=False):
        super().__init__()
        self.key, self.query, self.value = (nn.Linear(WIDTH, WIDTH // HEADS, bias=False) for _ in range(3))
        self.fused = fused

    def forward(self, x):
        q, k, v = self.query(x), self.key(x), self.value(x)
        n = x.shape[-2]
        below = torch.ones(n, n).tril().bool()
        self.keep(dense(q, k, below)[:, None])
        if self.fused:
            return F.scaled_dot_product_attention(q, k, v, is_causal=True)
        scores = (q @ k.transpose(-2, -1) * k.shape[-1] ** -0.5).masked_fill(~below, float("-inf"))
        return F.softmax(scores, dim=-1) @ v


class ManyHeads(nn.Module):
    """Heads as modules of their own, side by side."""

    def __init__(self, fused=False):
        super().__init__()
        self.heads = nn.ModuleList([Head(fused) for _ in range(HEADS)])
        self.proj = nn.Linear(WIDTH, WIDTH)

    @property
    def seen(self):
        return [torch.cat([head.seen[0] for head in self.heads], dim=1)]

    def forward(self, x):
        return self.proj(torch.cat([head(x) for head in self.heads], dim=-1))


class Block(nn.Module):
    def __init__(self, attention):
        super().__init__()
        self.ln_1, self.attn = nn.LayerNorm(WIDTH), attention
        self.mlp = nn.Sequential(
            nn.LayerNorm(WIDTH), nn.Linear(WIDTH, 2 * WIDTH), nn.GELU(), nn.Linear(2 * WIDTH, WIDTH)
        )

    def forward(self, x):
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp(x)


class Written(nn.Module):
    """A language model of three blocks round any attention; its output softmaxes over words."""

    def __init__(self, attention, layers=3):
        super().__init__()
        self.wte, self.wpe = nn.Embedding(WORDS, WIDTH), nn.Embedding(64, WIDTH)
        self.blocks = nn.ModuleList([Block(attention()) for _ in range(layers)])
        self.lm_head = nn.Linear(WIDTH, WORDS)

    def forward(self, idx):
        x = self.wte(idx) + self.wpe(torch.arange(idx.shape[-1]))
        for block in self.blocks:
            x = block(x)
        return F.log_softmax(self.lm_head(x), dim=-1), F.softmax(self.lm_head(x), dim=-1)


class Image(nn.Module):
    """A vision transformer: patches of a convolution, a class token, blocks, a classifier with a softmax."""

    def __init__(self):
        super().__init__()
        self.patch = nn.Conv2d(3, WIDTH, 4, 4)
        self.cls = nn.Parameter(torch.randn(1, 1, WIDTH))
        self.blocks = nn.ModuleList([Block(Fused(causal=False)) for _ in range(2)])
        self.head = nn.Linear(WIDTH, 5)

    def forward(self, image):
        x = self.patch(image).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls.expand(len(x), -1, -1), x], dim=1)
        for block in self.blocks:
            x = block(x)
        return F.softmax(self.head(x[:, 0]), dim=-1)


class Router(nn.Module):
    """A mixture of experts: softmaxes that choose, none that attends."""

    def __init__(self):
        super().__init__()
        self.gate = nn.Linear(WIDTH, 3)
        self.experts = nn.ModuleList([nn.Linear(WIDTH, WIDTH) for _ in range(3)])

    def forward(self, x):
        share = F.softmax(self.gate(x), dim=-1)
        outputs = torch.stack([expert(x) for expert in self.experts], dim=-2)
        chosen = (share.unsqueeze(-2) @ outputs).squeeze(-2)
        return chosen + torch.einsum("bte,bted->btd", share, outputs) + (share[..., None] * outputs).sum(-2)


def seeded(make, **options):
    torch.manual_seed(0)
    return make(**options).eval()


def ids(batch=1, n=7):
    return torch.randint(WORDS, (batch, n), generator=torch.Generator().manual_seed(1))
