"""Lava (Intel's framework for Loihi), floating point, in an environment of its own reached through files.

Lava 0.10.0 runs on Python 3.10 only, so the network goes to `lava_worker.py` in the Lava environment
(`neurosparse.backends.sidecar`) and its recordings come back as arrays. Every projection is a ``Sparse`` process;
neurons are Lava's ``LIF`` where that says the same as `neurosparse.core.neurons`, else the processes of
``lava_processes``. A hop costs one step there (`neurosparse.backends.pipeline`).
"""

from __future__ import annotations

import json
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurosparse.backends.base import Quantity, thresholds
from neurosparse.backends.copies import synaptic_events
from neurosparse.backends.pipeline import Pipeline, impossible_loops, pipeline
from neurosparse.backends.sidecar import lava_python, run_worker
from neurosparse.core.network import INPUT, Network, is_readout
from neurosparse.core.recording import Recording
from neurosparse.errors import SidecarError, ValidationError

__all__ = ["Lava"]

_WORKER = Path(__file__).with_name("lava_worker.py")
# Copies of the network that run side by side: bounded by the synapses Lava searches at every step, and by the values
# that its channels hold in shared memory (8 bytes each, 4 slots per channel: 32 MB; a container often has 64 MB).
_MAX_SYNAPSES = 2_000_000
_MAX_VALUES = 1_000_000
_PAYLOAD_BITS = 8


@dataclass(frozen=True)
class Lava:
    """Lava 0.10.0 with floating-point process models, spike-exact in float32 and float64.

    Parameters
    ----------
    time_limit_s : float
        Seconds after which a simulation is given up and its processes are killed.
    python : path, optional
        Interpreter of the Lava environment; by default the one `neurosparse.backends.sidecar.lava_python` finds.
    """

    time_limit_s: float = 600.0
    python: str | Path | None = None

    name: ClassVar[str] = "lava"

    def __post_init__(self) -> None:
        if not self.time_limit_s > 0:
            raise ValidationError(f"Lava.time_limit_s: must be a duration in seconds > 0, got {self.time_limit_s!r}")

    def missing(self) -> str | None:
        """Return None if there is a Lava environment, else how to make one and what was looked for."""
        try:
            lava_python(self.python)
        except SidecarError as error:
            return f"`neurosparse doctor --setup-lava` makes its environment ({error})"
        return None

    def unsupported(self, network: Network) -> list[str]:
        """Return why `network` cannot run in Lava: only loops that leave no step for each of their hops cannot."""
        return impossible_loops(network)

    def simulate(self, network: Network, inputs: ArrayLike, *, record: frozenset[Quantity], seed: int) -> Recording:
        """Run `network`; see `neurosparse.simulate`. `SidecarError` where the worker fails, dies or runs out of time.

        The recording's ``info`` has ``build_seconds`` (interpreter, imports, Lava's compiler, end), ``run_seconds``
        (the time steps), ``synaptic_events``, ``chunks`` (runs of the worker), ``processes`` (of the operating system,
        per run) and the version of ``lava``.
        """
        x = network.input.values(inputs, network.dtype)
        plan = pipeline(network)
        wanted = [p.name for p in network.populations if "voltages" in record or is_readout(p)]
        spikes = {p.name: np.zeros((*x.shape[:2], p.n), bool) for p in network.populations}
        voltages = {name: np.zeros((*x.shape[:2], network[name].n), network.dtype) for name in wanted}
        info: dict[str, Any] = {"build_seconds": 0.0, "run_seconds": 0.0, "chunks": 0}
        python, deadline = lava_python(self.python), time.monotonic() + self.time_limit_s
        chunk = _samples_per_chunk(network)
        for first in range(0, x.shape[1] if x.shape[0] else 0, chunk):
            samples = slice(first, first + chunk)
            with tempfile.TemporaryDirectory(prefix="neurosparse-lava-") as name:
                folder = Path(name)
                _write(folder, network, plan, x[:, samples], wanted)
                result = self._run(python, folder, deadline)
                _read(folder, network, plan, spikes, voltages, samples)
            for phase in ("build_seconds", "run_seconds"):
                info[phase] += result.pop(phase)
            info |= {**result, "chunks": info["chunks"] + 1}
        info["synaptic_events"] = synaptic_events(network, x, spikes)
        return Recording(spikes, voltages, thresholds(network), network.dt, self.name, info)

    def _run(self, python: Path, folder: Path, deadline: float) -> dict[str, Any]:
        remaining = deadline - time.monotonic()
        if remaining <= 0:
            raise SidecarError(f"Lava.time_limit_s: {self.time_limit_s:g} s were over before the last samples")
        finished = run_worker(python, _WORKER, folder, what="Lava worker", time_limit_s=remaining)
        report = folder / "result.json"
        if not report.is_file():
            raise SidecarError("Lava worker: ended without a result", output=finished.output)
        result: dict[str, Any] = json.loads(report.read_text())
        result["build_seconds"] = finished.seconds - result["run_seconds"]
        return result


def _samples_per_chunk(network: Network) -> int:
    ends = [network.size_of(p.source) + 2 * network.size_of(p.target) for p in network.projections]
    values = sum(ends) + sum(4 * p.n for p in network.populations)
    return int(max(1, min(_MAX_SYNAPSES // max(network.n_synapses, 1), _MAX_VALUES // values)))


def _write(folder: Path, network: Network, plan: Pipeline, x: NDArray[Any], recorded: list[str]) -> None:
    """Write what the worker reads: the network once (the worker makes the copies), and the input of these samples."""
    graded = network.input.kind == "graded"
    index = {INPUT: -1, **{p.name: i for i, p in enumerate(network.populations)}}
    # A payload is sent as the integer it is, and its weight carries the factor 2**-8: what a chip does, and exact.
    data = np.ldexp(x, _PAYLOAD_BITS).astype(np.uint8) if graded else x
    data = data.astype(np.uint8) if network.input.kind == "spikes" else data
    arrays: dict[str, NDArray[Any]] = {}
    for i, p in enumerate(network.populations):
        neuron = p.neuron
        arrays[f"beta_{i}"], arrays[f"bias_{i}"] = neuron.beta, neuron.bias
        arrays[f"alpha_{i}"] = getattr(neuron, "alpha", np.zeros_like(neuron.beta))
        arrays[f"v_threshold_{i}"] = getattr(neuron, "v_threshold", np.full_like(neuron.beta, np.inf))
    for k, projection in enumerate(network.projections):
        arrays[f"indptr_{k}"], arrays[f"indices_{k}"] = projection.indptr, projection.indices
        scale = -_PAYLOAD_BITS if graded and projection.source == INPUT else 0
        arrays[f"weights_{k}"] = np.ldexp(projection.weights.astype(np.float64), scale)
    spec = {
        "dtype": str(network.dtype),
        "n_steps": x.shape[0] + plan.n_extra,
        "n_samples": x.shape[1],
        "input": {
            "n": network.input.n,
            "dtype": str(data.dtype),
            "message_bits": 0 if network.input.kind == "spikes" else _PAYLOAD_BITS,  # > 0: the values count
        },
        "populations": [
            {
                "n": p.n,
                "model": type(p.neuron).__name__,
                "reset": getattr(p.neuron, "reset", "none"),
                "offset": plan.offsets[p.name],
                "record_voltages": p.name in recorded,
            }
            for p in network.populations
        ],
        "projections": [
            {"source": index[p.source], "target": index[p.target], "delay": delay}
            for p, delay in zip(network.projections, plan.delays, strict=True)
        ],
    }
    np.save(folder / "input.npy", data)
    np.savez(folder / "arrays.npz", **arrays)  # type: ignore[arg-type]  # the stub takes them for allow_pickle
    (folder / "network.json").write_text(json.dumps(spec))


def _read(
    folder: Path,
    network: Network,
    plan: Pipeline,
    spikes: dict[str, NDArray[np.bool_]],
    voltages: dict[str, NDArray[Any]],
    samples: slice,
) -> None:
    """Copy what the worker has recorded into `spikes` and `voltages`, aligned to the network's own steps."""
    for index, p in enumerate(network.populations):
        for kind, arrays in (("spikes", spikes), ("voltages", voltages)):
            if p.name in arrays and not (kind == "spikes" and is_readout(p)):
                n_steps = arrays[p.name].shape[0]
                first = plan.offsets[p.name]
                rows = np.load(folder / f"{kind}_{index}.npy", mmap_mode="r", allow_pickle=False)
                arrays[p.name][:, samples] = rows[first : first + n_steps].reshape(n_steps, -1, p.n)
