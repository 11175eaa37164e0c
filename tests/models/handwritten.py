"""Models as people write them by hand, that know nothing of transformers."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F


class SelfAttention(nn.Module):
    """Causal or full self-attention, by PyTorch's function or by its own softmax, whose weights it keeps."""

    def __init__(self, width=32, heads=4, *, own_softmax=False, causal=True):
        super().__init__()
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.heads, self.own_softmax, self.causal = heads, own_softmax, causal

    def forward(self, x):
        batch, n, width = x.shape
        q, k, v = (part.view(batch, n, self.heads, -1).transpose(1, 2) for part in self.qkv(x).chunk(3, dim=-1))
        scores = q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5
        if self.causal:
            scores = scores.masked_fill(torch.ones(n, n, dtype=torch.bool).triu(1), -torch.inf)
        if self.own_softmax:
            self.weights = scores.softmax(dim=-1)
            mixed = self.weights @ v
        else:
            with torch._C.DisableTorchFunction():
                self.weights = scores.softmax(dim=-1)
            mixed = F.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
        return self.out(mixed.transpose(1, 2).reshape(batch, n, width))


class Block(nn.Module):
    """Attention and a feed-forward part whose experts are chosen by a softmax that is no attention."""

    def __init__(self, **options):
        super().__init__()
        self.attn = SelfAttention(**options)
        self.router = nn.Linear(32, 3)
        self.experts = nn.ModuleList(nn.Linear(32, 32) for _ in range(3))

    def forward(self, x):
        x = x + self.attn(x)
        share = self.router(x).softmax(dim=-1)
        return x + sum(share[..., i : i + 1] * expert(x) for i, expert in enumerate(self.experts))


class Decoder(nn.Module):
    """A small language model."""

    def __init__(self, layers=3, **options):
        super().__init__()
        self.embed = nn.Embedding(50, 32)
        self.place = nn.Embedding(64, 32)
        self.blocks = nn.ModuleList(Block(**options) for _ in range(layers))
        self.head = nn.Linear(32, 50)

    def forward(self, ids):
        x = self.embed(ids) + self.place(torch.arange(ids.shape[1]))
        for block in self.blocks:
            x = block(x)
        return self.head(x).log_softmax(dim=-1)


class Vision(nn.Module):
    """A small vision transformer: patches, a class token, full attention, classes."""

    def __init__(self):
        super().__init__()
        self.patch = nn.Conv2d(3, 32, 8, 8)
        self.cls = nn.Parameter(torch.randn(1, 1, 32))
        self.blocks = nn.ModuleList(Block(causal=False) for _ in range(2))
        self.head = nn.Linear(32, 10)

    def forward(self, pixels):
        x = self.patch(pixels).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls.expand(len(x), -1, -1), x], dim=1)
        for block in self.blocks:
            x = block(x)
        return self.head(x[:, 0]).softmax(dim=-1)
