"""Loops in a directed graph, for formats in which an edge that closes one has a step of delay by itself."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

__all__ = ["loops"]


def loops(names: Sequence[str], edges: Iterable[tuple[str, str]]) -> dict[str, int]:
    """Return a number for each name; two have the same number if a loop leads through both (or if they are one)."""
    index = {name: i for i, name in enumerate(names)}
    ends = np.array([(index[a], index[b]) for a, b in edges], dtype=np.int64).reshape(-1, 2)
    graph = coo_array((np.ones(len(ends)), (ends[:, 0], ends[:, 1])), shape=(len(names), len(names)))
    labels = connected_components(graph, directed=True, connection="strong")[1]
    return {name: int(labels[i]) for name, i in index.items()}
