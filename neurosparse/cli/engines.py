"""Running a network in several engines and showing, in one table, what each did."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurosparse.analysis.comparison import Simulation, compare, write_simulations
from neurosparse.analysis.rasters import write_rasters
from neurosparse.analysis.summary import count
from neurosparse.backends.base import get_backend
from neurosparse.backends.base import simulate as run_engine
from neurosparse.cli.output import say, stdout
from neurosparse.core.network import Network
from neurosparse.core.quantized import QuantizedNetwork
from neurosparse.core.recording import Recording
from neurosparse.errors import MissingDependencyError

__all__ = ["print_simulations", "run_engines"]


def run_engines(
    network: Network | QuantizedNetwork,
    inputs: NDArray[Any],
    labels: NDArray[np.int64],
    backends: Iterable[str],
    *,
    voltages: bool = False,
    skip_missing: bool = False,
    keep: str | Path | None = None,
) -> list[Simulation]:
    """Run `network` in the reference and in `backends`; return a row per engine, the reference first.

    `voltages` compares those of all populations too, not only of the read-outs. With `skip_missing`, an engine that is
    not installed gets a row that says how to install it; without, it is a `MissingDependencyError`. In the run
    directory `keep` the rows are kept for the report, and the spikes of the first sample.
    """
    missing = {name: get_backend(name).missing() for name in ("reference", *backends)}
    for name, line in missing.items():  # before the first engine has run for minutes
        if line is not None and not skip_missing:
            raise MissingDependencyError(f"backend {name!r} is not installed here: {line}")
    reference: Recording | None = None
    rows, spikes = [], []
    for name, line in missing.items():
        if line is not None:
            rows.append(Simulation(name, missing=line))
            continue
        say(f"{name}: {labels.size} samples x {len(inputs)} steps ...")
        start = time.perf_counter()
        recording = run_engine(network, inputs, backend=name, record="voltages" if voltages else "spikes")
        rows.append(compare(network, recording, reference, labels, time.perf_counter() - start))
        reference = reference or recording
        # a copy, so that the recording of all samples can go
        first = {population: raster[:, :1].copy() for population, raster in recording.spikes.items()}
        spikes.append(Recording(first, dt=recording.dt, backend=recording.backend))
    if keep is not None:
        write_simulations(keep, rows)
        write_rasters(keep, spikes, inputs, int(labels[0]))
    return rows


def print_simulations(network: Network | QuantizedNetwork, rows: Sequence[Simulation], title: str) -> None:
    """Print `rows` as one table, below it the first difference of engines that differ and how to get missing ones."""
    from rich.table import Table

    table = Table()
    table.add_column("engine")
    for name in ("accuracy", "synapses", "density", "spikes", "seconds"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("parity")
    for row in rows:
        if row.missing is not None:
            table.add_row(row.backend, "-", "-", "-", "-", "-", "not installed")
            continue
        verdict = "(the reference)" if row.identical is None else "identical" if row.identical else "DIFFERENT"
        numbers = (f"{row.accuracy:.2%}", count(network.n_synapses), f"{network.density:.2%}", count(row.spikes or 0))
        table.add_row(row.backend, *numbers, f"{row.seconds:.2f}", verdict)
    console = stdout()
    console.print(title, style="bold", markup=False, soft_wrap=True)
    console.print(table)
    for row in rows:
        if row.missing is not None:
            console.print(f"{row.backend}: {row.missing}", markup=False, soft_wrap=True)
        elif row.identical is False:
            console.print(f"{row.backend}: {row.verdict}", markup=False, soft_wrap=True)
    if isinstance(network, Network) and network.grid is None and any(row.identical is False for row in rows):
        console.print("this network is not on the exact grid (exact=False), where engines may round differently")
