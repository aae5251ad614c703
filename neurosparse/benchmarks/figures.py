"""The figures of a benchmark: how much faster and smaller, against density; how a step grows."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from neurosparse.analysis.palette import new_row, png
from neurosparse.analysis.speed import gains, growth, speed_ups
from neurosparse.benchmarks import layer_step, training_step
from neurosparse.benchmarks.rounds import ratio

__all__ = ["growth_figure", "speed_figure", "write_figures"]


def write_figures(results: Mapping[str, Any], folder: Path) -> list[Path]:
    """Write ``speed.png`` and ``growth.png`` into `folder`, as far as `results` hold their data; return paths."""
    made: dict[str, Any] = {}
    if "layer_step" in results and "training_step" in results:
        made["speed.png"] = speed_figure(results)
    if "growth" in results:
        made["growth.png"] = growth_figure(results)
    folder.mkdir(parents=True, exist_ok=True)
    for name, figure in made.items():
        (folder / name).write_bytes(png(figure))
    return [folder / name for name in made]


def speed_figure(results: Mapping[str, Any]) -> Any:
    """Return a matplotlib figure: the layer step against all peers, the training step against dense snnTorch."""
    left, right = new_row(2, (9.6, 3.9))
    layer, training = results["layer_step"], results["training_step"]
    snntorch = layer_step.SNNTORCH
    rows = sorted(layer["rows"], key=lambda row: row["density"])
    names = dict.fromkeys(name for row in rows for name in row["times"] if name != snntorch)
    series = {
        name: [(row["density"], ratio(row["times"], snntorch, name)) for row in rows if name in row["times"]]
        for name in names
    }
    ours = (layer_step.INSIDE, layer_step.OURS)
    s = layer["settings"]
    title = f"one layer, {s['n']} → {s['n']}, {s['n_steps']} steps, {s['batch']} samples"
    speed_ups(series, emphasised=ours, reference="snnTorch, dense", title=title, ax=left)
    rows = sorted(training["rows"], key=lambda row: row["density"])
    us, them = training_step.OURS, training_step.SNNTORCH
    sizes = "-".join(str(n) for n in training["settings"]["sizes"])
    held = {
        name: [sum(row["facts"][name][f"{part}_bytes"] for part in ("weights", "optimizer", "index")) for row in rows]
        for name in (us, them)
    }
    gains(
        [row["density"] for row in rows],
        {
            "faster": [ratio(row["times"], them, us) for row in rows],
            "smaller: weights, optimizer, index": [a / b for a, b in zip(held[them], held[us], strict=True)],
            "fewer synaptic operations": [_operations(row, them) / _operations(row, us) for row in rows],
        },
        reference="dense snnTorch",
        title=f"whole training step with DEEP R, {sizes}",
        ax=right,
    )
    return left.figure


def growth_figure(results: Mapping[str, Any]) -> Any:
    """Return a matplotlib figure: milliseconds of a layer step against its synapses and against its lanes."""
    axes = new_row(2, (9.0, 3.4))
    part = results["growth"]
    labels = {"synapses": "synapses", "lanes": "lanes (time steps x samples)"}
    for ax, (name, label) in zip(axes, labels.items(), strict=True):
        growth(part[name]["sizes"], part[name]["seconds"], x=label, ax=ax)
    return axes[0].figure


def _operations(row: Mapping[str, Any], contestant: str) -> float:
    return float(row["facts"][contestant]["synaptic_operations"])
