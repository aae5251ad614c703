"""A network from a NIR graph that another program has written, and everything that had to be assumed for it."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from neurosparse.core.network import INPUT, Input, InputKind, Network, Population, Projection
from neurosparse.core.neurons import LI
from neurosparse.core.projection import MAX_DELAY
from neurosparse.errors import ArtifactError, UnsupportedError
from neurosparse.formats.loops import loops
from neurosparse.formats.nir_graph import NEURONS, Flat, Link, biases, flatten, links
from neurosparse.formats.nir_neurons import Convention, Converted, convert

__all__ = ["foreign_network"]


def foreign_network(
    tree: dict[str, Any], convention: Convention, input_kind: InputKind | None
) -> tuple[Network, list[str]]:
    """Return the network of a graph and the list of what was assumed; see `neurosparse.from_nir`."""
    flat = flatten(tree)
    return _Import(flat, convention, input_kind).result()


class _Import:
    def __init__(self, flat: Flat, convention: Convention, input_kind: InputKind | None) -> None:
        self._flat, self._convention, self._kind = flat, convention, input_kind
        self._notes: list[str] = []
        self._links = list(links(flat, self._steps))
        self._neurons: dict[str, Converted] = {}

    def result(self) -> tuple[Network, list[str]]:
        self._state_the_convention()
        into_sinks = [link for link in self._links if link.target in self._flat.sinks]
        between = [link for link in self._links if link.target not in self._flat.sinks]
        readouts = {k.target for k in into_sinks if k.matrices != {0: None}}
        between += [link for link in into_sinks if link.target in readouts]
        n_input = self._size_of_input(between)
        sizes = {self._flat.source: n_input}
        order = self._order(between, readouts)
        for name in order:
            rows = {m.shape[0] for k in between if k.target == name for m in k.matrices.values() if m is not None}
            if len(rows) > 1:
                raise ArtifactError(f"from_nir: {name!r} gets vectors of different sizes, {sorted(rows)}")
            self._neurons[name] = self._convert(name, rows.pop() if rows else None, readouts)
            sizes[name] = self._neurons[name].gain.size
        names = _names(order)
        populations = [Population(names[name], sizes[name], self._with_bias(name)) for name in order]
        names[self._flat.source] = INPUT
        dtype = self._dtype()
        projections = [
            self._projection(names, sizes, link, steps, dtype) for link, steps in self._with_loops(between, order)
        ]
        kind: InputKind = self._kind or "spikes"
        network = Network(Input(n_input, kind), populations, projections, self._convention.dt)
        return network, list(dict.fromkeys(self._notes))

    def _state_the_convention(self) -> None:
        c = self._convention
        formula = "1 - dt/tau (forward Euler)" if c.discretization == "euler" else "exp(-dt/tau)"
        self._note(f"dt = {c.dt:g} s; a decay per step is {formula}")
        self._note("a spike needs v > v_threshold; some programs (sinabs, SLAYER) spike at equality too")
        self._note("a feed-forward connection acts in the same step, and all neurons start at rest")
        if self._kind is None:
            self._note("the input is spikes, 0 or 1 (input_kind='graded' or 'analog' for others)")

    def _note(self, text: str) -> None:
        self._notes.append(text)

    def _steps(self, name: str, seconds: NDArray[Any]) -> NDArray[np.int64]:
        steps = seconds / self._convention.dt
        whole = np.rint(steps)
        if not seconds.size or (np.abs(steps - whole) > 1e-3).any() or (whole < 0).any() or (whole > MAX_DELAY).any():
            raise UnsupportedError(
                f"from_nir: Delay {name!r} is {seconds.flat[0] if seconds.size else 'empty'} s, which is no whole "
                f"number of steps of dt = {self._convention.dt:g} s in [0, {MAX_DELAY}]"
            )
        return whole.astype(np.int64)

    def _size_of_input(self, between: list[Link]) -> int:
        node = self._flat.nodes[self._flat.source]
        shape = np.asarray(node.get("shape", ())).reshape(-1)
        columns: set[int] = {
            m.shape[1] for k in between if k.source == self._flat.source for m in k.matrices.values() if m is not None
        }
        if shape.dtype.kind in "iu" and shape.size and (shape > 0).all():
            n = int(np.prod([int(s) for s in shape], dtype=object))
            if columns == {int(shape[-1])} and n not in columns:  # sinabs writes the shape of a whole sample
                n = columns.pop()
                self._note(f"the input's axes {shape[:-1].tolist()} are time or samples, the last one its {n} lines")
            elif shape.size > 1:
                self._note(f"the input's axes {shape.tolist()} are flattened, the last one fastest")
        elif len(columns) == 1:
            n = columns.pop()
        else:
            raise ArtifactError(f"from_nir: Input {self._flat.source!r} has no shape")
        if columns - {n} or n >= 2**31:
            raise ArtifactError(f"from_nir: the input has {n} lines, its connections take {sorted(columns)}")
        return n

    def _order(self, between: list[Link], readouts: set[str]) -> list[str]:
        """Return the nodes with state by their distance from the input, then as in the file."""
        nodes = [name for name, node in self._flat.nodes.items() if name in readouts or node["type"] in NEURONS]
        distance, front = {self._flat.source: 0}, [self._flat.source]
        while front:
            found = [k.target for name in front for k in between if k.source == name and k.target not in distance]
            distance |= dict.fromkeys(found, distance[front[0]] + 1)
            front = list(dict.fromkeys(found))
        if not nodes:
            raise UnsupportedError("from_nir: the graph has no neurons")
        return sorted(nodes, key=lambda name: distance.get(name, len(nodes) + 1))

    def _convert(self, name: str, n: int | None, readouts: set[str]) -> Converted:
        if name in readouts:
            self._note(f"output {name!r} reads weighted sums: an LI population without memory (beta = 0)")
            size = n or max(self._neurons[k.source].gain.size for k in self._links if k.target == name)
            return Converted(LI(np.zeros(size)), np.ones(size), ())
        found = convert(name, self._flat.nodes[name], n, self._convention)
        for note in found.assumptions:
            self._note(f"{name}: {note}")
        if isinstance(found.neuron, LI) and any(
            k.source == name and (k.target not in self._flat.sinks or k.matrices != {0: None}) for k in self._links
        ):
            raise UnsupportedError(
                f"from_nir: {name!r} has no threshold and drives other nodes; here only spikes travel, and the "
                "voltage of an LI is an output"
            )
        return found

    def _with_bias(self, name: str) -> Any:
        found, dtype = self._neurons[name], self._dtype()
        bias = np.array(np.broadcast_to(found.neuron.bias, found.gain.shape), np.float64)
        for node, value in biases(self._flat, name):
            if value.size not in (1, found.gain.size):
                raise ArtifactError(f"from_nir: the bias of {node!r} has {value.size} values, {name!r} has {bias.size}")
            bias += found.gain * value
        return dataclasses.replace(found.neuron, bias=bias).broadcast(bias.size, dtype)

    def _dtype(self) -> np.dtype[Any]:
        types = {np.asarray(node["weight"]).dtype for node in self._flat.nodes.values() if "weight" in node}
        double = np.dtype(np.float64) in types
        if double and np.dtype(np.float32) in types:
            self._note("weights are of both float types: everything is computed in float64")
        return np.dtype(np.float64 if double else np.float32)

    def _with_loops(self, between: list[Link], order: list[str]) -> list[tuple[Link, int]]:
        """Return the links with the step of delay that those get which close a loop."""
        loop = loops([self._flat.source, *order], [(k.source, k.target) for k in between])
        place = {name: i for i, name in enumerate([self._flat.source, *order])}
        result = []
        for link in sorted(between, key=lambda k: (place[k.target], place[k.source])):
            closes = loop[link.source] == loop[link.target] and place[link.source] >= place[link.target]
            if closes:
                self._note(f"the recurrent connection {link.source} -> {link.target} acts one step later")
            result.append((link, int(closes)))
        return [(part, steps) for link, steps in result for part in _parts(link)]

    def _projection(
        self, names: dict[str, str], sizes: dict[str, int], link: Link, steps: int, dtype: np.dtype[Any]
    ) -> Projection:
        ((delay, matrix),) = link.matrices.items()
        n, gain = sizes[link.source], self._neurons[link.target].gain
        whole = sp.csr_array(sp.eye_array(n, dtype=dtype)) if matrix is None else matrix
        if whole.shape != (gain.size, n):
            way = f"{link.source} -> {link.target}"
            raise ArtifactError(f"from_nir: {way} has weights {whole.shape}, its ends need {(gain.size, n)}")
        factors = [name for name in link.nodes if self._flat.nodes[name]["type"] in ("Affine", "Linear", "Scale")]
        if len(factors) > 1:
            self._note(f"{' and '.join(factors)} are multiplied out into one projection")
        if (gain != 1).any():
            whole = sp.csr_array(sp.diags_array(gain) @ whole.astype(np.float64))
        return Projection.from_scipy(names[link.source], names[link.target], whole.astype(dtype), delay=delay + steps)


def _parts(link: Link) -> list[Link]:
    return [dataclasses.replace(link, matrices={delay: matrix}) for delay, matrix in sorted(link.matrices.items())]


def _names(nodes: list[str]) -> dict[str, str]:
    """Return a name for each node that a population may have, all different."""
    found: dict[str, str] = {}
    for node in nodes:
        name = re.sub(r"[^A-Za-z0-9_.\-]", "_", node)
        name = name if re.match(r"[A-Za-z0-9_]", name) else f"p{name}"
        while name == INPUT or name in found.values():
            name += "_"
        found[node] = name
    return found
