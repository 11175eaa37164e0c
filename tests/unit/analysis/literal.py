"""The formulas as they stand in the papers, row by row in plain Python.

Each takes one head's weights, float [n, n], which keys each query sees, bool [n, n], and a list of tokens, and gives
the list of the rows' numbers, None for rows that do not count.
"""

from __future__ import annotations

import math


def seen(allowed, i):
    return [j for j in range(len(allowed)) if allowed[i][j]]


def each_row(of_row):
    def of_head(a, allowed, tokens, **options):
        n = len(tokens)
        return [of_row(a[i], seen(allowed, i), i, tokens, **options) if any(allowed[i]) else None for i in range(n)]

    return of_head


def scaled(row, keys):
    total = sum(row[j] for j in keys)
    return [row[j] / total for j in keys]


def mass(row, keys, wanted):
    inside = [j for j in keys if j in wanted]
    return sum(row[j] for j in inside) if inside else None


@each_row
def entropy(row, keys, i, tokens):
    return -sum(p * math.log(p) for p in scaled(row, keys) if p > 0)


@each_row
def normalised_entropy(row, keys, i, tokens):
    if len(keys) < 2:
        return None
    return -sum(p * math.log(p) for p in scaled(row, keys) if p > 0) / math.log(len(keys))


@each_row
def effective_1(row, keys, i, tokens):
    return math.exp(-sum(p * math.log(p) for p in scaled(row, keys) if p > 0))


@each_row
def effective_2(row, keys, i, tokens):
    return 1 / sum(p * p for p in scaled(row, keys))


@each_row
def max_weight(row, keys, i, tokens):
    return max(row[j] for j in keys)


@each_row
def distance(row, keys, i, tokens):
    return sum(row[j] * abs(i - j) for j in keys)


@each_row
def offset(row, keys, i, tokens):
    return sum(row[j] * (j - i) for j in keys)


@each_row
def window(row, keys, i, tokens, width=3):
    return mass(row, keys, range(i - width, i + width + 1))


@each_row
def at_offset(row, keys, i, tokens, by=-1):
    return mass(row, keys, [i + by])


@each_row
def sink(row, keys, i, tokens):
    return mass(row, keys, [0]) if i > 0 else None


@each_row
def of_class(row, keys, i, tokens, members=()):
    return mass(row, keys, members)


@each_row
def duplicate(row, keys, i, tokens):
    return mass(row, keys, [j for j in range(i) if tokens[j] == tokens[i]])


@each_row
def induction(row, keys, i, tokens):
    return mass(row, keys, [j for j in range(1, i + 1) if tokens[j - 1] == tokens[i]])


@each_row
def gini(row, keys, i, tokens):
    m = len(keys)
    if m < 2:
        return None
    p = sorted(scaled(row, keys))
    return sum((2 * k - m - 1) * p[k - 1] / m for k in range(1, m + 1)) / ((m - 1) / m)


@each_row
def keys_needed(row, keys, i, tokens, share=0.9):
    p, held, count = sorted(scaled(row, keys), reverse=True), 0.0, 0
    while held < share * (1 - 1e-6):
        held, count = held + p[count], count + 1
    return count


@each_row
def negligible(row, keys, i, tokens):
    return sum(row[j] < 1 / (100 * len(keys)) for j in keys) / len(keys)


def received(a, allowed, tokens):
    """Per key, the mean over the queries that see it."""
    n = len(tokens)
    by = [[i for i in range(n) if allowed[i][j]] for j in range(n)]
    return [sum(a[i][j] for i in by[j]) / len(by[j]) if by[j] else None for j in range(n)]


def jensen_shannon(p, q):
    """Divergence of two rows in nats: H((p + q) / 2) - (H(p) + H(q)) / 2."""

    def h(x):
        return -sum(v * math.log(v) for v in x if v > 0)

    return h([(x + y) / 2 for x, y in zip(p, q, strict=True)]) - (h(p) + h(q)) / 2


def content(a, allowed, special):
    """Special tokens left out on both sides, rows scaled to sum 1."""
    n = len(a)
    kept = [[bool(allowed[i][j] and not special[i] and not special[j]) for j in range(n)] for i in range(n)]
    totals = [sum(a[i][j] for j in range(n) if kept[i][j]) for i in range(n)]
    scaled_rows = [[a[i][j] / totals[i] if kept[i][j] else 0.0 for j in range(n)] for i in range(n)]
    return scaled_rows, kept


def mean(values):
    counted = [value for value in values if value is not None]
    return sum(counted) / len(counted) if counted else math.nan
