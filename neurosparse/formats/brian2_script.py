"""``--to brian2``: a network as one readable Brian2 script and one data file, which need brian2 and numpy only.

The script states the equations of `neurosparse.core.neurons` one operation per statement, population by population,
so that a Brian2 user can read and change them; `neurosparse.backends.brian2`, made for speed, does the same with all
populations in one group. A test runs both and the reference.
"""

from __future__ import annotations

import io
import keyword
import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurosparse import __version__
from neurosparse.core.container import write_atomically
from neurosparse.core.network import INPUT, Network, Population
from neurosparse.core.pipeline import Pipeline, pipeline
from neurosparse.formats.render import render

__all__ = ["DATA_FILE", "SCRIPT_FILE", "write_brian2_script"]

SCRIPT_FILE, DATA_FILE = "simulate.py", "network.npz"

_RESETS = {
    "subtract": ", a spike subtracts the threshold in the next step",
    "zero": ", a spike sets the voltage to 0",
    "none": ", without reset",
}
# Names of the script itself, which no population may take over.
_TAKEN = {
    *("argparse", "args", "b2", "data", "found", "from_lines", "lines", "monitor", "name", "network", "np", "objects"),
    *("parser", "side_by_side", "spikes", "voltages", "input_lines", "x", "n_steps", "n_samples", "step", "sample"),
    *("line", "events", "generators", "generator", "generator_line", "generator_value", "i", "j", "w", "array"),
    *("sources", "targets", "weights", "steps", "first", "total", "enumerate", "zip"),
    *(
        "neuron",
        "neurons",
        "rows",
        "trace",
        "rng",
        "rate",
        "shape",
        "print",
        "max",
        "len",
        "int",
        "float",
        "str",
        "range",
        "value",
    ),
}


def write_brian2_script(network: Network, folder: Path, inputs: ArrayLike | None = None) -> list[Path]:
    """Write `network` as a Brian2 script to `folder`; return the files.

    Parameters
    ----------
    network : Network
    folder : path
    inputs : array, shape (time, batch, n_inputs) or (time, n_inputs), optional
        Sample input for the data file, as ``network.input.kind`` says; without it the script generates its own.

    Raises
    ------
    UnsupportedError
        For a loop with less delay than hops, which an engine that takes one step per hop cannot run.
    ValidationError
        For inputs that the network cannot take.
    """
    plan = pipeline(network)
    arrays = {f"{p.name}.{name}": getattr(p.neuron, name) for p in network.populations for name in _parameters(p)}
    for key, projection in zip(_keys(network), network.projections, strict=True):
        arrays[f"{key}.sources"] = projection.indices
        arrays[f"{key}.targets"] = projection.rows
        arrays[f"{key}.weights"] = projection.weights
    x = None if inputs is None else _stored(network, inputs)
    if x is not None:
        arrays[INPUT] = x
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    write_atomically(folder / DATA_FILE, buffer.getvalue())
    write_atomically(folder / SCRIPT_FILE, _script(network, plan, x))
    return [folder / SCRIPT_FILE, folder / DATA_FILE]


def _script(network: Network, plan: Pipeline, x: NDArray[Any] | None) -> bytes:
    variables = _variables(network)
    n_samples, n_steps = (0, 0) if x is None else (x.shape[1], x.shape[0])
    sizes = " -> ".join(str(n) for n in [network.input.n, *(p.n for p in network.populations)])
    values = {
        "title": f"A spiking network ({sizes}; {network.n_synapses} synapses)",
        "version": __version__,
        "script_file": SCRIPT_FILE,
        "data_file": DATA_FILE,
        "stored_samples": n_samples,
        "stored_steps": n_steps,
        "dtype": str(network.dtype),
        "dt": repr(network.dt),
        "kind": network.input.kind,
        "n_input": network.input.n,
        "populations": [_population(p, plan, v) for p, v in zip(network.populations, variables, strict=False)],
        "projections": [_projection(network, k, plan, variables) for k in range(len(network.projections))],
    }
    return render("brian2.py.jinja", values)


def _population(p: Population, plan: Pipeline, variable: str) -> dict[str, Any]:
    reset = getattr(p.neuron, "reset", None)
    return {
        "name": p.name,
        "variable": variable,
        "n": p.n,
        "model": type(p.neuron).__name__,
        "reset": reset,
        "reset_words": _RESETS[reset] if reset else ", a read-out without threshold",
        "parameters": _parameters(p),
        "has_bias": "bias" in _parameters(p),
        "lag": plan.offsets[p.name],
    }


def _parameters(p: Population) -> list[str]:
    """Return the parameters that the script needs: without a bias that is 0 everywhere."""
    return [name for name in p.neuron.parameters if name != "bias" or p.neuron.bias.any()]


def _projection(network: Network, k: int, plan: Pipeline, variables: list[str]) -> dict[str, Any]:
    p, n_populations = network.projections[k], len(network.populations)
    of = {INPUT: "lines", **dict(zip((q.name for q in network.populations), variables, strict=False))}
    # a hop takes one step: a population more than one step behind its source waits for a longer way
    waits = plan.offsets[p.target] - plan.offsets[p.source] - 1
    words = f", delay {p.delay}" if p.delay else ""
    return {
        "source": p.source,
        "target": p.target,
        "key": _keys(network)[k],
        "variable": variables[n_populations + k],
        "of": of[p.source],
        "to": of[p.target],
        "n_source": p.n_source,
        "n_target": p.shape[0],
        "n_synapses": p.n_synapses,
        "steps": plan.delays[k] - 1,
        "delay_words": words + (f"; held back {waits} more, for a longer way to {p.target}" if waits > 0 else ""),
    }


def _keys(network: Network) -> list[str]:
    """Return the names of the projections in the data file; two populations may have several."""
    found: list[str] = []
    for p in network.projections:
        name, k = f"{p.source}_to_{p.target}", 1
        while name in found:
            k += 1
            name = f"{p.source}_to_{p.target}_{k}"
        found.append(name)
    return found


def _variables(network: Network) -> list[str]:
    """Return a Python (and Brian2) name for every population, then every projection, all different."""
    found: list[str] = []
    for key in [*(p.name for p in network.populations), *_keys(network)]:
        name = re.sub(r"\W", "_", key, flags=re.ASCII)
        name = name if re.match(r"[A-Za-z]", name) else f"p{name}"
        while keyword.iskeyword(name) or name in _TAKEN or name in found:
            name += "_"
        found.append(name)
    return found


def _stored(network: Network, inputs: ArrayLike) -> NDArray[Any]:
    """Return `inputs` as the script reads them: bool spikes, uint8 payloads or floats, (time, batch, n)."""
    x = network.input.values(inputs, network.dtype)
    if network.input.kind == "spikes":
        return x.astype(bool)
    return np.ldexp(x, 8).astype(np.uint8) if network.input.kind == "graded" else x
