"""Lava (Intel's framework for Loihi), in an environment of its own reached through files.

Lava 0.10.0 runs on Python 3.10 only, so the network goes to `lava_worker.py` in the Lava environment
(`neurosparse.backends.sidecar`) and its recordings come back as arrays. A `Network` runs in Lava's floating-point
models, a `QuantizedNetwork` in its fixed-point ones. Every projection is a ``Sparse`` process; neurons are Lava's
``LIF`` where that says the same as `neurosparse.core`, else the processes of ``lava_processes``. A hop costs one step
there (`neurosparse.core.pipeline`).
"""

from __future__ import annotations

import dataclasses
import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurosparse.backends.base import Quantity, float_recording
from neurosparse.backends.copies import synaptic_events
from neurosparse.backends.integers import integer_inputs, integer_recording
from neurosparse.backends.lava_spec import float_spec, integer_spec, overflows
from neurosparse.backends.sidecar import lava_python, run_worker
from neurosparse.core.graph import Graph
from neurosparse.core.network import Network
from neurosparse.core.pipeline import Pipeline, impossible_loops, pipeline
from neurosparse.core.quantized import QuantizedNetwork
from neurosparse.core.recording import Recording
from neurosparse.errors import SidecarError, UnsupportedError, ValidationError

__all__ = ["Lava"]

_WORKER = Path(__file__).with_name("lava_worker.py")
# Copies of the network that run side by side: bounded by the synapses Lava searches at every step, and by the values
# that its channels hold in shared memory (8 bytes each, 4 slots per channel: 32 MB; a container often has 64 MB).
_MAX_SYNAPSES = 2_000_000
_MAX_VALUES = 1_000_000


@dataclass(frozen=True)
class Lava:
    """Lava 0.10.0, spike-exact in float32, float64 and the integers of a `QuantizedNetwork`.

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
    integers: ClassVar[bool] = True

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

    def unsupported(self, network: Network | QuantizedNetwork) -> list[str]:
        """Return why `network` cannot run in Lava: only loops that leave no step for each of their hops cannot."""
        return impossible_loops(network)

    def simulate(
        self, network: Network | QuantizedNetwork, inputs: ArrayLike, *, record: frozenset[Quantity], seed: int
    ) -> Recording:
        """Run `network`; see `neurosparse.simulate`. `SidecarError` where the worker fails, dies or runs out of time.

        The recording's ``info`` has ``build_seconds`` (interpreter, imports, Lava's compiler, end), ``run_seconds``
        (the time steps), ``synaptic_events``, ``chunks`` (runs of the worker), ``processes`` (of the operating system,
        per run) and the version of ``lava``.
        """
        if isinstance(network, QuantizedNetwork):
            x: NDArray[Any] = integer_inputs(network, inputs)
            recording = integer_recording(network, x.shape[0], x.shape[1], record, self.name)
            reasons = overflows(network, x)
            if reasons:
                raise UnsupportedError(f"backend {self.name!r} cannot run this input: " + "; ".join(reasons))
        else:
            x = network.input.values(inputs, network.dtype)
            recording = float_recording(network, x.shape[0], x.shape[1], record, self.name)
        plan = pipeline(network)
        info: dict[str, Any] = {"build_seconds": 0.0, "run_seconds": 0.0, "chunks": 0}
        python, deadline = lava_python(self.python), time.monotonic() + self.time_limit_s
        chunk = _samples_per_chunk(network)
        for first in range(0, x.shape[1] if x.shape[0] else 0, chunk):
            samples = slice(first, first + chunk)
            with tempfile.TemporaryDirectory(prefix="neurosparse-lava-") as name:
                folder = Path(name)
                _write(folder, network, plan, x[:, samples], recording)
                result = self._run(python, folder, deadline)
                _read(folder, network, plan, recording, samples)
            for phase in ("build_seconds", "run_seconds"):
                info[phase] += result.pop(phase)
            info |= {**result, "chunks": info["chunks"] + 1}
        info["synaptic_events"] = synaptic_events(network, x, recording.spikes)
        return dataclasses.replace(recording, info=info)

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


def _samples_per_chunk(network: Graph[Any, Any]) -> int:
    ends = [network.size_of(p.source) + 2 * network.size_of(p.target) for p in network.projections]
    values = sum(ends) + sum(4 * p.n for p in network.populations)
    return int(max(1, min(_MAX_SYNAPSES // max(network.n_synapses, 1), _MAX_VALUES // values)))


def _write(
    folder: Path, network: Network | QuantizedNetwork, plan: Pipeline, x: NDArray[Any], recording: Recording
) -> None:
    """Write what the worker reads: the network once (the worker makes the copies), and the input of these samples."""
    if isinstance(network, QuantizedNetwork):
        spec, arrays, data = integer_spec(network, plan, x)
    else:
        spec, arrays, data = float_spec(network, plan, x)
    populations: Sequence[Any] = network.populations
    for p, entry in zip(populations, spec["populations"], strict=True):
        entry |= {"n": p.n, "offset": plan.offsets[p.name]}
        entry["record"] = [kind for kind in ("voltages", "currents") if p.name in getattr(recording, kind)]
    spec |= {"n_steps": x.shape[0] + plan.n_extra, "n_samples": x.shape[1]}
    np.save(folder / "input.npy", data)
    np.savez(folder / "arrays.npz", **arrays)  # type: ignore[arg-type]  # the stub takes them for allow_pickle
    (folder / "network.json").write_text(json.dumps(spec))


def _read(folder: Path, network: Graph[Any, Any], plan: Pipeline, recording: Recording, samples: slice) -> None:
    """Copy what the worker has recorded into `recording`, aligned to the network's own steps."""
    for index, p in enumerate(network.populations):
        for kind in ("spikes", "voltages", "currents"):
            array = getattr(recording, kind).get(p.name)
            if array is None or (kind == "spikes" and p.name not in recording.v_thresholds):
                continue  # not asked for, or a read-out, which has no spikes
            first = plan.offsets[p.name]
            rows = np.load(folder / f"{kind}_{index}.npy", mmap_mode="r", allow_pickle=False)
            array[:, samples] = rows[first : first + len(array)].reshape(len(array), -1, p.n)
