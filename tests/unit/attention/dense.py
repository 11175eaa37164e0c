"""Attention written out in float64, head by head, to compare with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from attnscope.attention.layers import QueriesKeys
from attnscope.attention.mask import Mask


@dataclass(frozen=True, eq=False)
class Case:
    """One layer as plain arrays."""

    queries: np.ndarray
    keys: np.ndarray
    allowed: np.ndarray
    scale: float = 0.5
    options: dict[str, Any] = field(default_factory=dict)

    def layer(self, move=lambda array: array) -> QueriesKeys:
        """The layer under test, its arrays brought to some library."""
        arrays = {name: move(value) for name, value in self.options.items() if isinstance(value, np.ndarray)}
        return QueriesKeys(
            move(self.queries), move(self.keys), self.scale, Mask.of(self.allowed), **(self.options | arrays)
        )

    def scores(self, head: int) -> np.ndarray:
        """Scores of one head, float64 [queries, keys]."""
        n_heads, n_queries, _ = self.queries.shape
        shared_by = n_heads // self.keys.shape[0]
        scores = np.empty((n_queries, self.keys.shape[1]))
        for i in range(n_queries):
            for j in range(self.keys.shape[1]):
                dot = float(
                    self.queries[head, i].astype(np.float64) @ self.keys[head // shared_by, j].astype(np.float64)
                )
                score = dot * self.scale
                if self.options.get("softcap") is not None:
                    score = self.options["softcap"] * np.tanh(score / self.options["softcap"])
                if self.options.get("bias") is not None:
                    bias = self.options["bias"]
                    score += float(bias[head % bias.shape[0], i, j])
                scores[i, j] = score if self.allowed[i, j] else -np.inf
        return scores

    def normalizers(self, head: int) -> np.ndarray:
        """Logarithm of each row's denominator, float64 [queries]; inf for a row that sees nothing."""
        found = []
        for row in self.scores(head):
            terms = [*row[np.isfinite(row)]]
            if self.options.get("sinks") is not None:
                terms.append(float(self.options["sinks"][head]))
            most = max(terms, default=0.0)
            total = sum(np.exp(term - most) for term in terms)
            found.append(most + np.log(total) if terms else np.inf)
        return np.array(found)

    def weights(self, head: int) -> np.ndarray:
        """Weights of one head, float64 [queries, keys]."""
        return np.exp(self.scores(head) - self.normalizers(head)[:, None])


def causal(n_queries: int, n_keys: int) -> np.ndarray:
    """Each query sees the keys up to its own position."""
    return np.arange(n_keys) <= np.arange(n_queries)[:, None]


def window(n: int, size: int) -> np.ndarray:
    """Each query sees itself and the keys just before it."""
    distance = np.arange(n)[:, None] - np.arange(n)
    return (distance >= 0) & (distance < size)


def cases() -> dict[str, Case]:
    """One layer for everything the formula can hold."""
    random = np.random.default_rng(7)

    def draw(*shape: int) -> np.ndarray:
        return random.normal(size=shape).astype(np.float32)

    n, width = 9, 6
    full = np.ones((n, n), bool)
    blind = window(n, 4)
    blind[[0, 5]] = False
    holes = random.random((n, n)) < 0.5
    per_head = draw(4, n, n)
    per_head[2, 3] = -np.inf
    some = {"queries": draw(4, n, width), "keys": draw(4, n, width)}
    grouped = {"queries": draw(6, n, width), "keys": draw(2, n, width)}
    return {
        "full": Case(**some, allowed=full),
        "causal": Case(**some, allowed=causal(n, n)),
        "window": Case(**some, allowed=window(n, 3)),
        "holes": Case(**some, allowed=holes),
        "blind rows": Case(**some, allowed=blind),
        "nothing visible": Case(**some, allowed=np.zeros((n, n), bool)),
        "grouped heads": Case(**grouped, allowed=causal(n, n)),
        "one key head": Case(queries=draw(4, n, width), keys=draw(1, n, width), allowed=full),
        "cross": Case(queries=draw(2, 5, width), keys=draw(2, 11, width), allowed=np.ones((5, 11), bool)),
        "scale": Case(**some, allowed=full, scale=3.0),
        "soft cap": Case(**some, allowed=causal(n, n), scale=2.0, options={"softcap": 1.5}),
        "bias": Case(**some, allowed=causal(n, n), options={"bias": draw(1, n, n)}),
        "bias per head": Case(**grouped, allowed=full, options={"bias": draw(6, n, n)}),
        "bias that hides": Case(**some, allowed=full, options={"bias": per_head}),
        "sinks": Case(**some, allowed=causal(n, n), options={"sinks": draw(4) * 2}),
        "sinks and blind rows": Case(**some, allowed=blind, options={"sinks": draw(4)}),
        "everything": Case(
            **grouped, allowed=window(n, 4), scale=1.5,
            options={"softcap": 2.0, "bias": draw(6, n, n), "sinks": draw(6)},
        ),
        "one token": Case(queries=draw(2, 1, width), keys=draw(2, 1, width), allowed=np.ones((1, 1), bool)),
        "huge scores": Case(queries=draw(2, n, width) * 100, keys=draw(2, n, width) * 100, allowed=full, scale=0.01),
    }  # fmt: skip
