"""By which routes through the layers does a token get what it holds?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from attnscope.analysis.rollout import RESIDUAL, Mixing
from attnscope.analysis.rows import attention_of
from attnscope.errors import InputError, TooLargeError

if TYPE_CHECKING:
    from attnscope.attention.capture import Capture

UNITS = 10**6
"""What capacities are counted in, as maximum flow wants whole numbers."""
MOST_EDGES = 5_000_000
"""Most edges of a maximum flow's graph."""


@dataclass(frozen=True, eq=False)
class Flow:
    """The routes of one token through the layers, strongest first.

    Layers are rows of results: level ``l`` is what tokens hold before the ``l``-th layer with attention, the last
    level what they hold after all. An edge of row ``l`` goes from level ``l + 1`` down to level ``l``.

    Parameters
    ----------
    query
        Position of the token.
    nodes
        float32 [layers + 1, keys]: how much of the token's content passes through each token at each level; the
        last is the token alone, the first its attention rollout. Each sums to 1.
    edges
        int32 [layers, edges, 2]: the strongest links of each layer, as the token above and the token below.
    edge_shares
        float32 [layers, edges]: what passes through each of them; 0 where there are fewer.
    left_out
        float32 [layers]: what passes through the edges that are not among them.
    paths
        int32 [paths, layers + 1]: for each source token its strongest path, the strongest of them first; positions
        from the first level up to the last, which is the query.
    path_shares
        float64 [paths]: product of the mixing along each path.
    maximum
        float64 [keys]: the most that could flow from each token if links were pipes (Abnar & Zuidema 2020); None where
        it was not asked for.

    Examples
    --------
    >>> found = analysis.flow(c, "bird", edges=2)
    >>> found.edges[1].tolist(), found.edge_shares[1].round(2)
    ([[7, 7], [7, 3]], array([0.78, 0.1 ], dtype=float32))
    """

    query: int
    nodes: np.ndarray
    edges: np.ndarray
    edge_shares: np.ndarray
    left_out: np.ndarray
    paths: np.ndarray
    path_shares: np.ndarray
    maximum: np.ndarray | None = None


def flow(
    c: Capture,
    query: int | str,
    *,
    edges: int = 12,
    paths: int = 8,
    maximum: bool = False,
    residual: float = RESIDUAL,
    kind: str | None = None,
) -> Flow:
    """Find the strongest routes by which content reaches a token, through the mixing of :func:`rollout`.

    Shares follow the rollout. Paths are exact: the product of links along a path is largest where the sum of their
    negative logarithms is least, which dynamic programming finds layer by layer. Maximum flow takes links as pipes
    whose width is their share; with the residual it saturates, and tells words apart less than the rollout does.

    Parameters
    ----------
    query
        The token: a position, a token or a word.
    edges, paths
        Links to give per layer, and paths.
    maximum
        Whether to compute the maximum flow from every token too; it takes one run per token.
    residual
        Share of a token's own vector that each layer passes on.

    Raises
    ------
    TooLargeError
        For a maximum flow over more than five million links.

    Examples
    --------
    >>> found = analysis.flow(c, "bird")
    >>> [c.tokens[node] for node in found.paths[1]], round(float(found.path_shares[1]), 2)
    (['red', 'bird', 'bird'], 0.17)
    """
    for name, value in (("edges", edges), ("paths", paths)):
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise InputError(f"{name} is the number of {name} to give, 1 or more; got {value!r}.")
    attention = attention_of(c, kind)
    mixing, i = Mixing(attention, residual), attention.queries.position(query)
    count, n = attention.n_layers, len(attention.queries)
    nodes = np.zeros((count + 1, n), np.float32)
    nodes[count, i] = 1
    best = np.zeros((count + 1, n))
    best[count, i] = 1
    above = np.zeros((count, n), np.int32)
    found = np.zeros((count, edges, 2), np.int32)
    sizes = np.zeros((count, edges), np.float32)
    for row in reversed(range(count)):
        for rows, block in mixing.blocks(row):
            through = nodes[row + 1, rows, None] * block
            nodes[row] += through.sum(axis=0)
            _keep_largest(through, rows.start, found[row], sizes[row])
            reach = best[row + 1, rows, None] * block
            strongest = reach.argmax(axis=0)
            better = reach[strongest, np.arange(n)] > best[row]
            best[row, better] = reach[strongest[better], better]
            above[row, better] = strongest[better] + rows.start
    order = np.argsort(-best[0], kind="stable")[:paths]
    order = order[best[0, order] > 0]
    routes = np.empty((len(order), count + 1), np.int32)
    routes[:, 0] = order
    for row in range(count):
        routes[:, row + 1] = above[row, routes[:, row]]
    most = _maximum_flow(mixing, count, n, i) if maximum else None
    left = np.maximum(1 - sizes.sum(axis=1), 0)
    return Flow(i, nodes, found, sizes, left, routes, best[0, order], most)


def _keep_largest(through: np.ndarray, first: int, found: np.ndarray, sizes: np.ndarray) -> None:
    """Merge a block's largest links into those found so far, in place."""
    some = np.argpartition(through, -min(len(sizes), through.size), axis=None)[-len(sizes) :]
    pairs = np.stack(np.unravel_index(some, through.shape), axis=1) + np.array([first, 0])
    all_sizes = np.concatenate([sizes, through.ravel()[some]])
    all_pairs = np.concatenate([found, pairs])
    order = np.lexsort((all_pairs[:, 1], all_pairs[:, 0], -all_sizes))[: len(sizes)]
    sizes[:], found[:] = all_sizes[order], all_pairs[order]
    found[sizes == 0] = 0


def _maximum_flow(mixing: Mixing, count: int, n: int, query: int) -> np.ndarray:
    """Flow from the query down to each token, in a graph of levels: float64 [keys]."""
    from scipy.sparse import coo_array, csr_array
    from scipy.sparse.csgraph import maximum_flow

    if count * n * n > MOST_EDGES:
        raise TooLargeError(
            f"A maximum flow through {count} layers of {n} tokens has {count * n * n:,} links, and at most "
            f"{MOST_EDGES:,} are followed. Use the shares and paths of flow(c, query), or a shorter text."
        )
    tops, bottoms, widths = [], [], []
    for row in range(count):
        for rows, block in mixing.blocks(row):
            upper, lower = np.nonzero(block * UNITS >= 0.5)
            tops.append((row + 1) * n + rows.start + upper)
            bottoms.append(row * n + lower)
            widths.append(np.rint(block[upper, lower] * UNITS))
    size = (count + 1) * n
    links = (np.concatenate(widths).astype(np.int32), (np.concatenate(tops), np.concatenate(bottoms)))
    graph = csr_array(coo_array(links, shape=(size, size)))
    return np.array([maximum_flow(graph, count * n + query, key).flow_value / UNITS for key in range(n)])
