"""The same trained network in every engine: spikes, accuracy, and whether they are identical.

    python examples/same_spikes_everywhere.py runs/mnist-1.33pc/deep_r-0 --samples 1000 --lava-samples 100

First the deployed network (on the exact grid): every engine must give the same bits. Then the raw weights, to show what
one sees without the grid.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import neurosparse as ns
from neurosparse.backends import get_backend
from neurosparse.training.inputs import load_inputs
from neurosparse.training.run import load_model

ENGINES = ["native", "snntorch", "brian2", "brian2-cython", "brian2-standalone", "lava"]


def table(network: ns.Network, inputs, labels, n_samples: int, n_lava: int) -> None:
    start = time.perf_counter()
    reference = ns.simulate(network, inputs[:, :n_samples], record="voltages")
    show("reference", reference, labels[:n_samples], time.perf_counter() - start, "judge")
    for name in ENGINES:
        missing = get_backend(name).missing()
        if missing:
            print(f"{name:18s} not installed: {missing}")
            continue
        n = n_lava if name == "lava" else n_samples
        start = time.perf_counter()
        recording = ns.simulate(network, inputs[:, :n], backend=name, record="voltages")
        seconds = time.perf_counter() - start
        judge = reference if n == n_samples else ns.simulate(network, inputs[:, :n], record="voltages")
        show(name, recording, labels[:n], seconds, str(ns.parity(judge, recording)))


def show(name: str, recording: ns.Recording, labels, seconds: float, verdict: str) -> None:
    output = next(reversed(recording.spikes))
    correct = (recording.decisions(output) == labels).mean()
    line = f"{name:18s} {len(labels):5d} samples  accuracy {correct:.4f}  {recording.n_spikes:9d} spikes"
    print(f"{line}  {seconds:7.2f} s  {verdict}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--lava-samples", type=int, default=100)
    arguments = parser.parse_args()
    inputs, labels = load_inputs(arguments.run, "test")
    model = load_model(arguments.run)
    raw = model.to_network(exact=False)
    exact, report = model.to_network_with_report()
    print(report)
    for title, network in (("exact grid", exact), ("raw weights, exact=False", raw)):
        whole = (ns.simulate(network, inputs).decisions("output") == labels).mean()
        print(f"\n{title}: {network}; reference accuracy on all {len(labels)} test samples {whole:.4f}")
        table(network, inputs, labels, arguments.samples, arguments.lava_samples)


if __name__ == "__main__":
    main()
