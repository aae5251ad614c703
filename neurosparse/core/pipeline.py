"""Time alignment for engines that cost one step per synaptic hop (Brian2's default schedule, Lava, Loihi).

In a `Network`, a projection without delay acts in the same step. A pipelined engine cannot do that: there every
population p runs ``offset[p]`` steps behind, and a projection from a to b gets the engine delay ``delay + offset[b] -
offset[a]``, which must be at least one. Step t of p is step ``t + offset[p]`` of the engine; the input has offset 0.
From rest and without bias nothing happens in the first ``offset[p]`` steps, so the shift is invisible; a bias must be
switched on at engine step ``offset[p]``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from neurosparse.core.graph import INPUT, Graph
from neurosparse.errors import UnsupportedError

__all__ = ["Pipeline", "impossible_loops", "pipeline"]


@dataclass(frozen=True)
class Pipeline:
    """How a network runs in a pipelined engine.

    Attributes
    ----------
    offsets : dict of population name to int
        Steps each population runs behind; 0 for the input.
    delays : tuple of int
        Engine delay of each projection, >= 1.
    n_extra : int
        Steps to run beyond the input.
    """

    offsets: dict[str, int]
    delays: tuple[int, ...]
    n_extra: int


def pipeline(network: Graph[Any, Any]) -> Pipeline:
    """Return the smallest offsets that give every projection an engine delay of at least one step.

    Longest paths by relaxation (Bellman-Ford). Raises `UnsupportedError` where a loop leaves no solution; see
    `impossible_loops`.
    """
    offsets = {INPUT: 0, **{p.name: 1 for p in network.populations}}
    for _ in range(len(offsets) + 1):
        late = [p for p in network.projections if offsets[p.source] + 1 - p.delay > offsets[p.target]]
        if not late:
            delays = tuple(p.delay + offsets[p.target] - offsets[p.source] for p in network.projections)
            return Pipeline(offsets, delays, max(offsets.values()))
        for p in late:
            offsets[p.target] = max(offsets[p.target], offsets[p.source] + 1 - p.delay)
    through = sorted({p.target for p in late})
    raise UnsupportedError(
        f"a loop through {', '.join(through)} has less delay than hops; an engine that costs one step per hop "
        "needs a total delay of at least the number of projections in every loop"
    )


def impossible_loops(network: Graph[Any, Any]) -> list[str]:
    """Return the reason why `network` has no pipelined form, as a list for ``unsupported``; empty if it has one."""
    try:
        pipeline(network)
    except UnsupportedError as error:
        return [str(error)]
    return []
