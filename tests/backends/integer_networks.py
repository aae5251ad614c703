"""Random quantised networks whose integers lie at the edges of their ranges, and many of them side by side in one."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurosparse.core import integers as z
from neurosparse.core.network import INPUT, Input
from neurosparse.core.quantized import QuantizedNetwork, QuantizedPopulation, QuantizedProjection

LARGEST_SUM = 2**18 - 1  # from here on Lava's registers are not the chip's


@dataclass(frozen=True)
class Drawn:
    """A network and its input (time, batch, n)."""

    network: QuantizedNetwork
    inputs: NDArray[Any]


def draw(rng: np.random.Generator, *, kind: str, n_steps: int = 16, n_samples: int = 2, largest: int = 500) -> Drawn:
    """Return a network of up to `largest` neurons: a chain, with skips, loops, delays and a read-out by chance."""
    n_inputs, n_populations = int(rng.integers(1, 30)), int(rng.integers(1, 4))
    sizes = rng.integers(1, rng.choice([4, 12, largest // n_populations + 1]), n_populations)
    names = [f"p{i}" for i in range(n_populations)]
    populations = [population(rng, name, int(n), name == names[-1]) for name, n in zip(names, sizes, strict=True)]
    size = {INPUT: n_inputs, **{p.name: p.n for p in populations}}
    ends = [*zip([INPUT, *names], names, strict=False)]
    plan = [(source, target, int(rng.choice([0, 0, 0, 1, 3]))) for source, target in ends]
    for i, name in enumerate(names):
        if rng.random() < 0.4:
            plan.append((name, name, int(rng.integers(1, 5))))
        if rng.random() < 0.3:  # a skip, or a second path of another delay
            plan.append((INPUT, name, int(rng.integers(0, 4))))
        if i > 0 and rng.random() < 0.3:  # as long as the way there
            plan.append((name, names[0], i + 1 + int(rng.integers(0, 3))))
    projections = [projection(rng, s, t, size[t], size[s], delay) for s, t, delay in plan]
    network = QuantizedNetwork(Input(n_inputs, kind), populations, within_registers(projections, kind))
    shape = (n_steps, n_samples, n_inputs)
    if kind == "spikes":
        return Drawn(network, rng.random(shape) < rng.choice([0.1, 0.5, 1.0]))
    return Drawn(network, rng.choice([0, 1, 255, int(rng.integers(0, 256))], shape).astype(np.uint8))


def population(rng: np.random.Generator, name: str, n: int, last: bool) -> QuantizedPopulation:
    def drawn(edges: list[int], low: int, high: int) -> Any:
        """One value for all neurons, or (a third of the time) one for each."""
        values = np.where(rng.random(n) < 0.6, rng.choice(edges, n), rng.integers(low, high + 1, n))
        return values if rng.random() < 0.33 else int(values[0])

    reset = ["zero", "zero", "subtract", "none"][int(rng.integers(4))]
    return QuantizedPopulation(
        name,
        n,
        du=drawn([0, 1, 4094, 4095, 4095], 0, 4095),
        dv=drawn([0, 1, 4095, 4096], 0, 4096),
        v_threshold=drawn([0, 1, 1, 20, 100, 131071], 1, 1000),
        bias=drawn([0, 0, 0, -4096, 4095], -4096, 4095) if rng.random() < 0.5 else 0,
        bias_exponent=drawn([0, 7], 0, 7),
        reset=reset,
        readout=bool(last and rng.random() < 0.3),
    )


def projection(
    rng: np.random.Generator, source: str, target: str, n_target: int, n_source: int, delay: int
) -> QuantizedProjection:
    bits = int(rng.choice([1, 2, 4, 6, 7, 8, 8, 8]))
    sign_mode = ["mixed", "mixed", "excitatory", "excitatory", "inhibitory"][int(rng.integers(5))]
    mask = rng.random((n_target, n_source)) < rng.choice([0.0, 0.1, 0.5, 1.0], p=[0.05, 0.45, 0.4, 0.1])
    indptr, indices = np.append(0, np.cumsum(mask.sum(axis=1))), np.nonzero(mask)[1]
    step, (low, high) = z.weight_step(bits, sign_mode), z.weight_range(bits, sign_mode)
    weights = rng.integers(low // step, high // step + 1, indices.size) * step
    edge = rng.random(indices.size) < 0.2
    weights[edge] = rng.choice([low, high, 0], int(edge.sum()))
    return QuantizedProjection(
        source,
        target,
        indptr,
        indices,
        weights.astype(np.int16),
        n_source,
        exponent=int(rng.integers(0, 8)),
        bits=bits,
        sign_mode=sign_mode,
        delay=delay,
    )


def within_registers(projections: list[QuantizedProjection], kind: str) -> list[QuantizedProjection]:
    """Lower the exponents, and thin out the synapses, until no sum can leave Lava's registers."""
    share = LARGEST_SUM // len(projections)
    kept = []
    for p in projections:
        factor = z.MAX_PAYLOAD if p.source == INPUT and kind == "graded" else 1
        while _largest(p) * factor > share and p.exponent > 0:
            p = dataclasses.replace(p, exponent=p.exponent - 1)
        if _largest(p) * factor > share:
            per_row = max(1, share // (factor * 256))
            position = np.arange(p.n_synapses) - np.repeat(p.indptr[:-1], np.diff(p.indptr))
            live = position < per_row
            indptr = np.append(0, np.cumsum(live))[p.indptr]
            p = dataclasses.replace(p, indptr=indptr, indices=p.indices[live], weights=p.weights[live])
        kept.append(p)
    return kept


def _largest(p: QuantizedProjection) -> int:
    low, high = p.largest_sums()
    return int(max((-low).max(initial=0), high.max(initial=0)))


def merge(cases: Sequence[Drawn]) -> Drawn:
    """Return one network with all `cases` side by side, populations named ``<case>.<population>``."""
    lines = sum(case.network.input.n for case in cases)
    populations, projections, first = [], [], 0
    for k, case in enumerate(cases):
        populations += [dataclasses.replace(p, name=f"{k}.{p.name}") for p in case.network.populations]
        for p in case.network.projections:
            source, shift, n_source = f"{k}.{p.source}", 0, p.n_source
            if p.source == INPUT:
                source, shift, n_source = INPUT, first, lines
            projections.append(
                dataclasses.replace(
                    p, source=source, target=f"{k}.{p.target}", indices=p.indices + shift, n_source=n_source
                )
            )
        first += case.network.input.n
    kind = cases[0].network.input.kind
    merged = QuantizedNetwork(Input(lines, kind), populations, projections)
    return Drawn(merged, np.concatenate([case.inputs for case in cases], axis=2))
