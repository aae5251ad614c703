"""Everything that ``neurosparse deploy`` finds out: integers, placement, accuracy, energy, agreement with Lava."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurosparse.analysis.comparison import output_of
from neurosparse.analysis.metrics import accuracy
from neurosparse.analysis.parity import Parity, parity
from neurosparse.backends.base import fastest_exact, get_backend, simulate
from neurosparse.cli.output import say
from neurosparse.cli.runs import any_network_of
from neurosparse.core.container import write_atomically
from neurosparse.core.network import Network
from neurosparse.core.quantized import QuantizedNetwork
from neurosparse.core.quantized_io import INTEGERS_FILE, QUANTIZED_FILE
from neurosparse.deploy.behaviour import behaviour_violations
from neurosparse.deploy.chip import ChipSpec
from neurosparse.deploy.energy import EnergyReport, energy
from neurosparse.deploy.placement import Placement, place
from neurosparse.deploy.profiles import profile_violations
from neurosparse.deploy.quantize import quantize
from neurosparse.deploy.violation import Violation
from neurosparse.errors import MissingDependencyError, UnknownNameError, UnsupportedError, ValidationError

__all__ = ["Deployment", "deploy_network", "write_deployment"]

_SAMPLES, _CALIBRATION, _COMPARED = 1000, 200, 100
ENGINES = ("lava",)


@dataclass
class Deployment:
    """What deploying a network to a chip came to; None for what was not asked for or could not be done."""

    source: Path
    network: Network
    chip: ChipSpec
    bits: int
    violations: list[Violation] = field(default_factory=list)
    quantized: QuantizedNetwork | None = None
    placement: Placement | None = None
    n_samples: int = 0
    n_steps: int = 0
    float_accuracy: float | None = None
    integer_accuracy: float | None = None
    energy: EnergyReport | None = None
    engine: str | None = None
    compared: int = 0
    parity: Parity | None = None

    @property
    def failed(self) -> bool:
        """Whether a limit is exceeded, or the engine differs."""
        return bool(self.violations) or (self.parity is not None and not self.parity)

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as plain data for JSON."""
        report = self.quantized.report if self.quantized is not None else None
        sources = {name: self.chip.source_of(limit) for name, limit in self.chip.limits().items()}
        return {
            "run": self.source,
            "network": repr(self.network),
            "chip": {"name": self.chip.name, "title": self.chip.title, "sources": sources},
            "bits": self.bits,
            "fits": not self.violations,
            "violations": [{**vars(violation), "text": str(violation)} for violation in self.violations],
            "samples": self.n_samples,
            "accuracy": {"float": self.float_accuracy, "integer": self.integer_accuracy},
            "quantization": report.to_dict() if report is not None else None,
            "placement": self.placement.utilization().to_dict() if self.placement is not None else None,
            "energy": self.energy.to_dict() if self.energy is not None else None,
            "engine": {
                "name": self.engine,
                "samples": self.compared,
                "identical": self.parity.identical,
                "parity": self.parity.to_dict(),
            }
            if self.parity is not None
            else None,
        }


def deploy_network(
    source: Path, chip: str, *, bits: int, chips: int, samples: int | None, engine: str | None
) -> Deployment:
    """Quantise, place and measure the network of a run directory or a network's file.

    A network that does what the chip does not is not quantised for it, but still placed, so that everything that
    stands in the way is told at once.
    """
    spec, network = ChipSpec.load(chip), any_network_of(source)
    if engine is not None:
        _check_engine(engine)
    if not isinstance(network, Network):
        raise UnsupportedError(f"{source}: holds a network that is quantised already; deploy the float network")
    found = Deployment(source, network, spec, bits)
    inputs, labels, calibration = _data(source, samples)
    if spec.kind != "cores":
        found.violations = profile_violations(network, spec, bits=bits)
    elif behaviour_violations(network, spec, bits):
        found.placement = place(network, spec, chips=chips, bits=bits, strict=False)
    else:
        say(f"quantising {network} to {bits} bits ...")
        like = _trained_integers(source, bits)
        found.quantized = quantize(network, spec, bits=bits, calibration=calibration, like=like)
        found.placement = place(found.quantized, spec, chips=chips, strict=False)
    if found.placement is not None:
        found.violations = list(found.placement.violations)
    if inputs is not None:
        _measure(found, inputs, labels)
    if engine is not None:
        _compare(found, engine, inputs)
    return found


def _trained_integers(source: Path, bits: int) -> QuantizedNetwork | None:
    """Return the integers that the run `source` was fine-tuned in, if it was."""
    path = source / INTEGERS_FILE
    if not path.is_file():
        return None
    like = QuantizedNetwork.load(path)
    found = {projection.bits for projection in like.projections}
    if found != {bits}:
        raise ValidationError(f"deploy --bits: {source} was fine-tuned with {max(found)} bits, got {bits}")
    return like


def _check_engine(engine: str) -> None:
    if engine not in ENGINES:
        raise UnknownNameError("deploy --run", engine, ENGINES)
    line = get_backend(engine).missing()
    if line is not None:  # before minutes of quantisation
        raise MissingDependencyError(f"backend {engine!r} is not installed here: {line}")


def _data(source: Path, samples: int | None) -> tuple[NDArray[Any] | None, NDArray[np.int64], NDArray[Any] | None]:
    """Return test inputs and labels, and training inputs to calibrate with; nothing for a network's file."""
    if not (source / "config.toml").is_file():
        return None, np.zeros(0, np.int64), None
    from neurosparse.training.inputs import SplitName, load_inputs

    def first(split: SplitName, n: int) -> tuple[NDArray[Any], NDArray[np.int64]]:
        try:
            return load_inputs(source, split, n)
        except ValidationError:  # the split has fewer; a large one is never encoded as a whole
            return load_inputs(source, split)

    inputs, labels = load_inputs(source, "test", samples) if samples is not None else first("test", _SAMPLES)
    return inputs, labels, first("train", _CALIBRATION)[0]


def _measure(found: Deployment, inputs: NDArray[Any], labels: NDArray[np.int64]) -> None:
    say(f"running {labels.size} samples x {len(inputs)} steps ...")
    recording = simulate(found.network, inputs, backend=fastest_exact(found.network))
    output = output_of(found.network)
    found.n_samples, found.n_steps = recording.n_samples, recording.n_steps
    found.float_accuracy = accuracy(recording.decisions(output), labels)
    network: Network | QuantizedNetwork = found.network
    if found.quantized is not None:
        network = found.quantized
        recording = simulate(network, inputs, backend=fastest_exact(network))
        found.integer_accuracy = accuracy(recording.decisions(output), labels)
    if found.placement is not None:
        found.energy = energy(network, recording, inputs, chip=found.chip, placement=found.placement)


def _compare(found: Deployment, engine: str, inputs: NDArray[Any] | None) -> None:
    if found.quantized is None or inputs is None:
        reason = "it was not quantised, see its violations" if inputs is not None else "a network's file has no samples"
        raise UnsupportedError(f"deploy --run {engine}: there is nothing to compare: {reason}")
    inputs = inputs[:, :_COMPARED]
    say(f"{engine}: {inputs.shape[1]} samples x {len(inputs)} steps ...")
    twin = simulate(found.quantized, inputs, record="voltages")
    found.engine, found.compared = engine, inputs.shape[1]
    found.parity = parity(twin, simulate(found.quantized, inputs, backend=engine, record="voltages"))


def write_deployment(found: Deployment, folder: Path | None) -> list[Path]:
    """Write the integers, the findings as JSON and the figures into `folder`; return the files. None: nothing."""
    if folder is None:
        return []
    from neurosparse.analysis import plots
    from neurosparse.analysis.palette import png

    name, files = found.chip.name, []
    if found.quantized is not None:
        files.append(folder / QUANTIZED_FILE)
        folder.mkdir(parents=True, exist_ok=True)
        found.quantized.save(files[-1])
    figures = {}
    if found.placement is not None:
        figures[f"cores_{name}"] = plots.core_occupancy(found.placement.utilization())[0].figure
    if found.energy is not None:
        figures[f"energy_{name}"] = plots.energy_comparison(found.energy).figure
    for title, figure in figures.items():
        files.append(folder / "figures" / f"{title}.png")
        write_atomically(files[-1], png(figure))
    files.append(folder / f"deployment_{name}.json")
    text = json.dumps(found.to_dict(), indent=1, default=_plain, allow_nan=False)
    write_atomically(files[-1], text.encode())
    return files


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else str(value)
