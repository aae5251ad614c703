"""``--to lava``: a quantised network as a folder that runs in a bare Lava environment, and on Loihi 2 by one switch.

The graph is made for the chip (Lava's own ``LIF`` and ``Sparse``, adapters between host and chip) and is the same in
the simulation. Process modules and the guards around Lava's failure modes are those of `neurosparse.backends`, copied.
"""

from __future__ import annotations

import io
import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurosparse import __version__
from neurosparse.backends.integers import integer_inputs
from neurosparse.backends.lava_spec import integer_spec, overflows
from neurosparse.backends.sidecar import lock_file
from neurosparse.core.container import write_atomically
from neurosparse.core.graph import INPUT
from neurosparse.core.integers import ACCUMULATOR_BITS, GRADED_ACCUMULATOR_BITS, MAX_V_THRESHOLD
from neurosparse.core.pipeline import pipeline
from neurosparse.core.quantized import QuantizedNetwork, QuantizedPopulation
from neurosparse.errors import UnsupportedError
from neurosparse.formats.render import render

__all__ = ["silicon_obstacles", "write_lava_bundle"]

_COPIED = (
    "lava_worker.py",
    "lava_build.py",
    *(f"lava_processes/{name}.py" for name in ("__init__", "files", "neurons")),
)
_COPIED += ("lava_processes/integers.py",)
_WRITTEN = {
    "run.py": "lava_run.py.jinja",
    "lava_processes/adapters.py": "lava_adapters.py.jinja",
    "README.md": "lava_readme.md.jinja",
}
_LONGEST_WAIT = 62  # steps that DelaySparse adds on Loihi 2 (lava-dl's limit)
_LARGEST_DV = 4095


def write_lava_bundle(network: QuantizedNetwork, folder: Path, inputs: ArrayLike | None = None) -> list[Path]:
    """Write `network` as a self-contained folder; return the files.

    Parameters
    ----------
    network : QuantizedNetwork
    folder : path
    inputs : array, shape (time, batch, n_inputs) or (time, n_inputs), optional
        Sample input; without it the bundle generates its own.

    Raises
    ------
    UnsupportedError
        For a loop with less delay than hops, and where Lava's registers would overflow.
    ValidationError
        For inputs that the network cannot take.
    """
    plan = pipeline(network)
    x = None if inputs is None else integer_inputs(network, inputs)
    probe = np.zeros((1, 1, network.input.n), np.uint8) if x is None else x
    reasons = overflows(network, probe)
    if reasons:
        raise UnsupportedError("export --to lava: " + "; ".join(reasons))
    spec, arrays, _ = integer_spec(network, plan, probe)
    for p, entry in zip(network.populations, spec["populations"], strict=True):
        entry |= {"name": p.name, "n": p.n, "offset": plan.offsets[p.name], "record": []}
    spec["obstacles"] = silicon_obstacles(network, x)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]  # the stub takes them for allow_pickle
    content = {"network.npz": buffer.getvalue(), "network.json": json.dumps(spec, indent=1).encode()}
    if x is not None:
        buffer = io.BytesIO()
        np.save(buffer, x)
        content["input.npy"] = buffer.getvalue()
    backends = files("neurosparse.backends")
    content |= {name: backends.joinpath(*name.split("/")).read_bytes() for name in _COPIED}
    content["requirements.txt"] = lock_file().read_bytes()
    values = _values(network, x)
    content |= {name: render(template, values) for name, template in _WRITTEN.items()}
    for name, data in content.items():
        write_atomically(folder / name, data)
    return [folder / name for name in content]


def silicon_obstacles(network: QuantizedNetwork, x: NDArray[Any] | None = None) -> list[str]:
    """Return why `network` runs in Lava's simulation only, in the user's words; empty if it may run on Loihi 2.

    Payloads `x` (time, batch, n_inputs), where given, are taken for the largest there will be.
    """
    plan, found = pipeline(network), []
    for p in network.populations:
        found += [f"population {p.name!r}: {reason}" for reason in _population_obstacles(p)]
        bits = GRADED_ACCUMULATOR_BITS if _takes_payloads(network, p.name) else ACCUMULATOR_BITS
        largest, limit = _largest_sum(network, p.name, x), 2 ** (bits - 1) - 1
        if largest > limit:  # Lava does not model it
            found.append(
                f"population {p.name!r}: its weights can add up to {largest} in a step, the chip's accumulator of "
                f"{bits} bits holds {limit}; lower the exponents or the weights"
            )
    for projection, delay in zip(network.projections, plan.delays, strict=True):
        if delay - 1 > _LONGEST_WAIT:
            found.append(
                f"projection {projection.source}->{projection.target}: waits {delay - 1} steps, {_LONGEST_WAIT} at most"
            )
    return found


def _takes_payloads(network: QuantizedNetwork, name: str) -> bool:
    return network.input.kind == "graded" and any(p.source == INPUT for p in network.projections_into(name))


def _largest_sum(network: QuantizedNetwork, name: str, x: NDArray[Any] | None) -> int:
    """Return the largest absolute sum of a step into `name`: of any spikes, and of the payloads `x` if given."""
    if x is None or not _takes_payloads(network, name):
        return int(network.largest_sums(name).max())
    least, most = np.zeros(network[name].n, np.int64), np.zeros(network[name].n, np.int64)
    rows = x.reshape(-1, x.shape[2]).astype(np.int64)
    for p in network.projections_into(name):
        low, high = p.largest_sums()
        if p.source == INPUT:
            sums = (p.to_scipy().astype(np.int64) @ rows.T) << p.exponent
            low, high = sums.min(axis=1, initial=0), sums.max(axis=1, initial=0)
        least, most = least + low, most + high
    return int(max(most.max(), -least.min()))


def _population_obstacles(p: QuantizedPopulation) -> list[str]:
    found = []
    if p.readout:
        found.append("a read-out; its voltage does not leave the chip as spikes, so end with a spiking population")
    elif p.reset != "zero":
        found.append(f"reset {p.reset!r} needs microcode of one's own; train with reset='zero'")
    elif int(p.v_threshold.max()) > MAX_V_THRESHOLD:
        found.append(f"thresholds above {MAX_V_THRESHOLD}")
    if p.bias.any():
        found.append("a bias cannot be switched on in time there; train without biases")
    for name in ("du", "dv", "v_threshold"):
        values = getattr(p, name)
        if (values != values[0]).any():
            found.append(f"{name} differs from neuron to neuron; the stock neuron has one value per population")
    if int(p.dv.max()) > _LARGEST_DV:
        found.append(f"dv = {p.dv.max()} does not fit into 12 bits; {_LARGEST_DV} is the largest")
    return found


def _values(network: QuantizedNetwork, x: NDArray[Any] | None) -> dict[str, Any]:
    sizes = " -> ".join(str(n) for n in [network.input.n, *(p.n for p in network.populations)])
    return {
        "title": f"A spiking network ({sizes}; {network.n_synapses} synapses)",
        "version": __version__,
        "n_input": network.input.n,
        "stored_samples": 0 if x is None else x.shape[1],
        "obstacles": silicon_obstacles(network, x),
        "populations": [
            {
                "name": p.name,
                "n": p.n,
                "reset": "none, a read-out" if p.readout else p.reset,
                **{name: _one_or_range(getattr(p, name)) for name in ("dv", "du", "v_threshold")},
            }
            for p in network.populations
        ],
        "projections": [
            {name: getattr(p, name) for name in ("source", "target", "n_synapses", "bits", "exponent", "delay")}
            for p in network.projections
        ],
    }


def _one_or_range(values: NDArray[Any]) -> str:
    low, high = int(values.min()), int(values.max())
    return str(low) if low == high else f"{low}..{high}"
