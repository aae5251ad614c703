"""One network, simulated side by side: a sample at a time (latency), and many samples at once (throughput).

The network of `neurosparse bench --part simulation` (`firing_network`), scaled so that both hidden layers fire at a
given rate on rate-coded images, or any saved network. All engines run the same spikes; that they do is checked before
anything is timed. In every round each contestant has its turn (A B C A B C ...); ratios are medians over
rounds of times taken in the same round: the machine may be shared.

    python benchmarks/simulation.py --steps 25 100
    python benchmarks/simulation.py --data mnist --batch 1000 --json simulation.json

Brian2's C++ project is built once, outside the clock, and its binary run every round on the first sample; "time steps"
is what the binary itself reports (without start, loading and saving), "whole process" what one waits for. Lava runs the
first sample too, its "time steps" are those between start and stop of its processes. Both favour the peer:
neurosparse is timed by the whole call of `simulate`, each sample on its own, and counts with the median over samples.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurosparse.backends import brian2 as brian2_engine
from neurosparse.backends import brian2_session, copies
from neurosparse.backends.base import get_backend, simulate
from neurosparse.backends.native import Native
from neurosparse.benchmarks.simulation import firing_network
from neurosparse.core.network import Network, is_readout
from neurosparse.core.pipeline import pipeline
from neurosparse.core.recording import Recording
from neurosparse.core.rng import stream
from neurosparse.data import PoissonRate, load_dataset

Turn = Callable[[], dict[str, float]]
"""Run once; return seconds per sample by row of the table."""

OURS = "neurosparse native"
SIZES = (784, 1024, 1024, 10)


def native_turn(network: Network, x: NDArray[np.bool_], threads: int) -> Turn:
    """Every sample alone, through `simulate`."""
    engine = Native(threads)
    samples = [np.ascontiguousarray(x[:, i]) for i in range(x.shape[1])]

    def turn() -> dict[str, float]:
        return {OURS: statistics.median(_seconds(simulate, network, sample, backend=engine) for sample in samples)}

    return turn


def snntorch_model(network: Network, threads: int) -> Callable[[NDArray[np.bool_]], dict[str, NDArray[np.bool_]]]:
    """What a user of snnTorch writes: dense layers and `snn.Leaky`, step by step, without gradients."""
    import snntorch as snn
    import torch

    torch.set_num_threads(threads)
    layers = []
    for p in network.projections:
        neuron = network[p.target].neuron
        linear = torch.nn.Linear(p.n_source, p.shape[0], bias=False)
        linear.weight.data = torch.from_numpy(p.to_scipy().toarray())
        threshold = getattr(neuron, "v_threshold", np.float32([1e30]))
        cell = snn.Leaky(beta=float(neuron.beta[0]), threshold=float(threshold[0]), reset_mechanism="subtract")
        layers.append((p.target, linear, cell))

    @torch.no_grad()
    def run(x: NDArray[np.bool_]) -> dict[str, NDArray[np.bool_]]:
        inputs = torch.from_numpy(x).float()
        states = [torch.zeros(x.shape[1], linear.out_features) for _, linear, _ in layers]
        rasters: dict[str, list[Any]] = {name: [] for name, _, _ in layers}
        for t in range(len(x)):
            s = inputs[t]
            for k, (name, linear, cell) in enumerate(layers):
                s, states[k] = cell(linear(s), states[k])
                rasters[name].append(s)
        return {name: torch.stack(raster).bool().numpy() for name, raster in rasters.items()}

    return run


def snntorch_turn(network: Network, x: NDArray[np.bool_], threads: int, expected: Recording) -> Turn:
    """Every sample alone, in plain snnTorch."""
    run = snntorch_model(network, threads)
    _check("snnTorch", expected, run(x))
    samples = [np.ascontiguousarray(x[:, i : i + 1]) for i in range(min(5, x.shape[1]))]

    def turn() -> dict[str, float]:
        return {"snnTorch, dense": statistics.median(_seconds(run, sample) for sample in samples)}

    return turn


@contextmanager
def brian2_turn(network: Network, x: NDArray[np.bool_], expected: Recording) -> Iterator[Turn]:
    """The binary of one C++ project, built here, on the first sample."""
    values = network.input.values(x[:, :1], network.dtype)
    wanted = [p.name for p in network.populations if is_readout(p)]
    spikes = {p.name: np.zeros((len(x), 1, p.n), bool) for p in network.populations}
    voltages = {name: np.zeros((len(x), 1, network[name].n), network.dtype) for name in wanted}
    with brian2_session.session("standalone", network.dtype) as session:
        brian2_engine._Run(session, network, pipeline(network), values, wanted).store(spikes, voltages, slice(0, 1))
        _check("Brian2", expected, spikes)
        folder, results = session.directory, session.device.results_dir
        if folder is None:
            raise RuntimeError("Brian2's standalone session has no directory")
        command = [str(folder / "main"), "--results_dir", results]

        def turn() -> dict[str, float]:
            begin = time.perf_counter()
            subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=600)
            whole = time.perf_counter() - begin
            steps = float(Path(results, "last_run_info.txt").read_text().split()[0])
            return {"Brian2 C++, time steps": steps, "Brian2 C++, whole process": whole}

        yield turn


def lava_turn(network: Network, x: NDArray[np.bool_], expected: Recording) -> Turn:
    """Lava's floating-point processes on the first sample."""
    first = np.ascontiguousarray(x[:, :1])
    _check("Lava", expected, dict(simulate(network, first, backend="lava").spikes))

    def turn() -> dict[str, float]:
        begin = time.perf_counter()
        info = simulate(network, first, backend="lava").info
        whole = time.perf_counter() - begin
        return {"Lava CPU float, time steps": info["run_seconds"], "Lava CPU float, whole call": whole}

    return turn


def batch_turns(network: Network, x: NDArray[np.bool_], threads: int) -> list[Turn]:
    """All samples in one call: ours, plain snnTorch, the reference."""
    engine, run = Native(threads), snntorch_model(network, threads)

    def timed(name: str, call: Callable[[], object]) -> Turn:
        def turn() -> dict[str, float]:
            begin = time.perf_counter()
            call()
            return {name: (time.perf_counter() - begin) / x.shape[1]}

        return turn

    return [
        timed(OURS, lambda: simulate(network, x, backend=engine)),
        timed("snnTorch, dense", lambda: run(x)),
        timed("reference (SciPy)", lambda: simulate(network, x, backend="reference")),
    ]


def _seconds(function: Callable[..., object], *arguments: Any, **options: Any) -> float:
    begin = time.perf_counter()
    function(*arguments, **options)
    return time.perf_counter() - begin


def _check(name: str, expected: Recording, spikes: dict[str, NDArray[np.bool_]]) -> None:
    for population, raster in spikes.items():
        if not np.array_equal(raster, expected.spikes[population][:, : raster.shape[1]]):
            raise RuntimeError(f"{name} does not give the reference's spikes of {population}: nothing to compare")
    print(f"  {name}: the reference's spikes", flush=True)


def measure(turns: list[Turn], repeats: int) -> dict[str, list[float]]:
    """Return seconds per sample of every row, one a round."""
    times: dict[str, list[float]] = {}
    for turn in turns:
        turn()
    for _ in range(repeats):
        for turn in turns:
            for name, seconds in turn().items():
                times.setdefault(name, []).append(seconds)
    return times


def report(title: str, times: dict[str, list[float]], events: float) -> dict[str, Any]:
    """Print one table and return it as data; `events` are synaptic events per sample."""
    print(f"\n{title}; {events:.0f} synaptic events a sample")
    print(f"  {'':28}{'us/sample':>12}{'min':>10}{'ns/event':>10}{'ours is faster by':>19}")
    ratios = {}
    for name, seconds in times.items():
        median = statistics.median(seconds)
        ratios[name] = statistics.median(a / b for a, b in zip(seconds, times[OURS], strict=True))
        print(
            f"  {name:28}{1e6 * median:12.1f}{1e6 * min(seconds):10.1f}{1e9 * median / events:10.2f}"
            f"{ratios[name]:18.1f}x"
        )
    return {"title": title, "seconds_per_sample": times, "events_per_sample": events, "ratios": ratios}


def latency(network: Network, x: NDArray[np.bool_], options: argparse.Namespace) -> dict[str, Any]:
    """Time one sample at a time in every engine that is installed."""
    expected = simulate(network, x, backend="reference")
    _check("native", expected, dict(simulate(network, x, backend="native").spikes))
    with ExitStack() as stack:
        turns = [native_turn(network, x, 1), snntorch_turn(network, x, options.threads, expected)]
        for name in ("brian2-standalone", "lava"):
            line = get_backend(name).missing()
            if line is not None or name in options.without:
                print(f"  {name} left out" + (f": {line}" if line else ""))
            elif name == "lava":
                turns.append(lava_turn(network, x, expected))
            else:
                turns.append(stack.enter_context(brian2_turn(network, x, expected)))
        times = measure(turns, options.repeats)
    events = copies.synaptic_events(network, x, dict(expected.spikes)) / x.shape[1]
    rates = ", ".join(f"{name} {raster.mean():.1%}" for name, raster in expected.spikes.items())
    return report(f"one sample at a time, {len(x)} steps; input {x.mean():.1%}, {rates}", times, events)


def throughput(network: Network, x: NDArray[np.bool_], options: argparse.Namespace) -> dict[str, Any]:
    """Time all samples in one call."""
    times = measure(batch_turns(network, x, options.threads), min(options.repeats, 3))
    spikes = simulate(network, x, backend="native").spikes
    events = copies.synaptic_events(network, x, dict(spikes)) / x.shape[1]
    return report(f"{x.shape[1]} samples in one call, {len(x)} steps, {options.threads} threads", times, events)


def main() -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, nargs="+", default=[25, 100])
    parser.add_argument("--samples", type=int, default=20, help="for latency")
    parser.add_argument("--batch", type=int, default=1000, help="for throughput, at the first number of steps; 0: none")
    parser.add_argument("--data", default="synthetic", help="data set of 28 x 28 images")
    parser.add_argument("--input-rate", type=float, default=0.5, help="of a white pixel, spikes per step")
    parser.add_argument("--rate", type=float, default=0.07, help="of the hidden layers, spikes per step")
    parser.add_argument("--density", type=float, default=0.05)
    parser.add_argument("--network", type=Path, help="a saved network instead of the random one")
    parser.add_argument("--without", nargs="*", default=[], help="engines to leave out: brian2-standalone, lava")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="write everything measured to this file")
    options = parser.parse_args()
    images = load_dataset(options.data).test.images
    images = np.resize(images, (max(options.batch, options.samples), 784))
    encoder = PoissonRate(options.input_rate)

    def encode(n_samples: int, n_steps: int) -> NDArray[np.bool_]:
        return encoder.encode(images[:n_samples], n_steps, generator=stream(options.seed, "benchmark", "input"))

    if options.network is not None:
        network = Network.load(options.network)
    else:
        x = encode(options.samples, options.steps[0])
        network = firing_network(SIZES, x, density=options.density, rate=options.rate, seed=options.seed)
    print(f"{network}, {sys.version.split()[0]}, {options.threads} threads")
    results = [latency(network, encode(options.samples, n_steps), options) for n_steps in options.steps]
    if options.batch:
        results.append(throughput(network, encode(options.batch, options.steps[0]), options))
    if options.json:
        settings = {k: str(v) if isinstance(v, Path) else v for k, v in vars(options).items()}
        options.json.write_text(json.dumps({"settings": settings, "results": results}, indent=1))


if __name__ == "__main__":
    main()
