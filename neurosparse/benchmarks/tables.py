"""What was measured as Markdown tables, for the terminal, the README and the documentation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from neurosparse.benchmarks import choice, layer_step, simulation, training_step
from neurosparse.benchmarks.profile import REST, slope
from neurosparse.benchmarks.rounds import best, medians, ratio
from neurosparse.benchmarks.targets import targets

__all__ = [
    "choice_table",
    "growth_table",
    "layer_table",
    "markdown",
    "memory_table",
    "profile_table",
    "profile_training_table",
    "simulation_table",
    "speed_table",
    "summary",
    "targets_table",
    "training_table",
]


def markdown(results: Mapping[str, Any]) -> str:
    """Return all tables that `results` (of `suite.run`) fill, each under a heading; a quick run has no targets."""
    parts = {
        "layer_step": [("Layer step, milliseconds", layer_table), ("Layer step, speed-up", speed_table)],
        "training_step": [("Training step", training_table), ("Memory of the training step", memory_table)],
        "simulation": [("Simulation, one sample at a time", simulation_table)],
        "growth": [("Growth", growth_table)],
        "profile": [
            ("Where a layer step's time goes", profile_table),
            ("Where a training step's time goes", profile_training_table),
        ],
        "choice": [("The engine's choice", choice_table)],
    }
    sections = [
        f"### {title}\n\n{table(results[part])}"
        for part, tables in parts.items()
        if part in results
        for title, table in tables
    ]
    if not results["quick"]:
        sections.append(f"### Targets\n\n{targets_table(results)}")
    return "\n\n".join(sections)


def summary(results: Mapping[str, Any]) -> str:
    """Return the layer step's speed-ups and, in a sentence, the training step at 5 %: what a README has room for."""
    layer, training = results["layer_step"], results["training_step"]
    s, machine, n = layer["settings"], results["machine"], results["n_threads"]
    threads = "1 thread" if n == 1 else f"{n} threads"
    lines = [
        f"One layer, {s['n']} -> {s['n']}, {s['n_steps']} steps, {s['batch']} samples, {_percent(s['rate'])} of the "
        f"inputs spiking, forward and both gradients, {threads} ({machine['name']}):",
        "",
        speed_table(layer),
    ]
    ours, dense = training_step.OURS, training_step.SNNTORCH
    for row in training["rows"]:
        if row["density"] == 0.05:
            us, them = row["facts"][ours], row["facts"][dense]
            speed_up = ratio(row["times"], dense, ours)
            sizes = "-".join(str(n) for n in training["settings"]["sizes"])
            lines += [
                "",
                f"The whole training step of {sizes} at 5 %, DEEP R after every step included "
                f"({_percent(us['rewiring_share'])} of it): {speed_up:.1f}x as fast as dense snnTorch; "
                f"weights, index and optimizer take {_held(them) / _held(us):.1f}x less memory.",
            ]
    return "\n".join(lines)


def layer_table(part: Mapping[str, Any]) -> str:
    """Return milliseconds a step, contestant by density; a hyphen where one did not run."""
    rows = part["rows"]
    found = [medians(row["times"]) for row in rows]
    names = list(dict.fromkeys(name for row in rows for name in row["times"]))
    return _table(
        ["", *(_percent(row["density"]) for row in rows)],
        [[name, *(f"{1e3 * m[name]:.1f}" if name in m else "-" for m in found)] for name in names],
    )


def speed_table(part: Mapping[str, Any]) -> str:
    """Return how many times faster our layer is: than snnTorch, and than the best of all peers."""
    ours, inside, snntorch = layer_step.OURS, layer_step.INSIDE, layer_step.SNNTORCH
    rows = []
    for row in part["rows"]:
        times = row["times"]
        peer = best(times, [name for name in times if name not in (ours, inside)])
        figures = [ratio(times, them, us) for them in (snntorch, peer) for us in (ours, inside)]
        rows.append([_percent(row["density"]), *(f"{figure:.1f}x" for figure in figures), peer])
    head = ["density", "against snnTorch", "inside a network", "against the best peer", "inside a network", "best peer"]
    return _table(head, rows)


def training_table(part: Mapping[str, Any]) -> str:
    """Return milliseconds a whole training step, the speed-ups and the share of rewiring."""
    ours = training_step.OURS
    peers = [c.title for c in training_step.CONTESTANTS if c.title != ours]
    rows = []
    for row in part["rows"]:
        times, found = row["times"], medians(row["times"])
        present = [name for name in peers if name in times]
        rows.append(
            [
                _percent(row["density"]),
                _thousands(row["n_synapses"]),
                *(f"{1e3 * found[name]:.0f}" if name in found else "-" for name in (*peers, ours)),
                " / ".join(f"{ratio(times, name, ours):.1f}x" for name in present),
                f"{_percent(row['facts'][ours]['rewiring_share'], 1)}",
            ]
        )
    units = [f"{name}, ms" for name in (*peers, ours)]
    return _table(["density", "synapses", *units, "speed-up", "rewiring's share"], rows)


def memory_table(part: Mapping[str, Any]) -> str:
    """Return the four numbers of a training step that are not the same thing, dense beside sparse."""
    ours, dense = training_step.OURS, training_step.SNNTORCH
    rows = [_memory_row(dense, part["rows"][0], dense)]
    rows += [_memory_row(f"{ours}, {_percent(row['density'])}", row, ours) for row in part["rows"]]
    head = [
        "",
        "weights + optimizer",
        "index and rewiring",
        "peak RSS of the process",
        "of it after imports and a tiny step",
    ]
    return _table([*head, "synaptic operations, forward", "ms a step"], rows)


def simulation_table(part: Mapping[str, Any]) -> str:
    """Return milliseconds a sample in every engine that ran, and how many times longer than ours that is."""
    rows = []
    for name, seconds in medians(part["times"]).items():
        whole = part["facts"][name].get("whole_seconds")
        started = "" if whole is None else f"{1e3 * whole:.0f}"
        rows.append([name, f"{1e3 * seconds:.3f}", f"{ratio(part['times'], name, simulation.OURS):.1f}x", started])
    return _table(["engine", "milliseconds a sample", "ours is faster by", "whole process, ms"], rows)


def growth_table(part: Mapping[str, Any]) -> str:
    """Return milliseconds a step against synapses and lanes, and the ratio of slopes."""
    rows = []
    for name in ("synapses", "lanes"):
        series = part[name]
        pairs = zip(series["sizes"], series["seconds"], strict=True)
        cells = ", ".join(f"{_thousands(size)}: {1e3 * seconds:.1f}" for size, seconds in pairs)
        rows.append([name, cells, f"{series['slope_ratio']:.2f}"])
    return _table(["against", "milliseconds a step", "upper / lower slope"], rows)


_WORK = {
    "forward_sparse": "forward: masked additions or events, membrane, spikes",
    "backward": "backward: surrogate, recursion, gradient of the values",
    "_input_gradient": "gradient of the input",
    "_list": "lists of spikes",
    "_pack": "input to bits",
}
_SYNAPTIC = ("forward_sparse", "backward", "_input_gradient")


def profile_table(part: Mapping[str, Any]) -> str:
    """Return milliseconds of every kernel by density, and what a further synapse costs a core in 16 lanes."""
    rows, n_threads = part["layer"], part["settings"]["n_threads"]

    def milliseconds(name: str) -> list[str]:
        return [f"{1e3 * row['kernels'].get(name, 0.0):.2f}" for row in rows]

    cells = []
    for name in _SYNAPTIC:
        ns = 1e9 * n_threads * slope(rows, name)
        cells.append([_WORK[name], *milliseconds(name), f"{ns:.2f}", f"{ns * part['clock_ghz']:.1f}"])
    cells.append([_WORK["_list"], *milliseconds("_list"), "", ""])
    rest = [row["seconds"] - sum(row["kernels"].get(name, 0.0) for name in (*_SYNAPTIC, "_list")) for row in rows]
    cells.append([REST, *(f"{1e3 * seconds:.2f}" for seconds in rest), "", ""])
    cells.append(["**all**", *(f"**{1e3 * row['seconds']:.2f}**" for row in rows), "", ""])
    head = ["ms", *(_percent(row["density"]) for row in rows), "ns a synapse, 16 lanes and core", "cycles"]
    return _table(head, cells)


def profile_training_table(part: Mapping[str, Any]) -> str:
    """Return milliseconds and shares of the kernels, of rewiring and of the rest of a training step."""
    step = part["training"]
    seconds = {text: step["kernels"].get(name, 0.0) for name, text in _WORK.items()}
    seconds["rewiring"] = step["rewiring_share"] * step["seconds"]
    seconds[f"Adam, loss, {REST}"] = step["seconds"] - sum(seconds.values())
    rows = [[name, f"{1e3 * s:.2f}", _percent(s / step["seconds"])] for name, s in seconds.items()]
    sizes = "-".join(str(n) for n in step["sizes"])
    return _table([f"{sizes}, {_percent(step['density'])}", "ms", "share"], rows)


def choice_table(part: Mapping[str, Any]) -> str:
    """Return milliseconds of a layer step by each method and by the engine's choice, and that over the best."""
    rows = []
    for row in part["rows"]:
        found = medians(row["times"])
        times = [f"{1e3 * found[name]:.1f}" for name in (*choice.METHODS, choice.AUTO)]
        rows.append([_percent(row["density"]), _percent(row["rate"]), *times, f"{choice.loss(row):.2f}"])
    return _table(["density", "rate", *(f"{name}, ms" for name in (*choice.METHODS, choice.AUTO)), "auto / best"], rows)


def targets_table(results: Mapping[str, Any]) -> str:
    """Return every target with what was measured."""
    rows = [[t.what, t.wanted, t.measured, "yes" if t.holds else "**no**"] for t in targets(results)]
    return _table(["what", "target", "measured", "holds"], rows)


def _memory_row(title: str, row: Mapping[str, Any], contestant: str) -> list[str]:
    facts = row["facts"][contestant]
    return [
        title,
        _megabytes(facts["weights_bytes"] + facts["optimizer_bytes"]),
        _megabytes(facts["index_bytes"]),
        _megabytes(facts["peak_rss"]),
        _megabytes(facts["rss_before"]),
        f"{facts['synaptic_operations'] / 1e6:.1f} M",
        f"{1e3 * medians(row['times'])[contestant]:.0f}",
    ]


def _held(facts: Mapping[str, float]) -> float:
    return facts["weights_bytes"] + facts["index_bytes"] + facts["optimizer_bytes"]


def _percent(share: float, digits: int = 0) -> str:
    return f"{100 * share:.{digits}f} %"


def _megabytes(n_bytes: float) -> str:
    return f"{n_bytes / 1e6:.1f} MB" if n_bytes < 1e8 else f"{n_bytes / 1e6:.0f} MB"


def _thousands(n: int) -> str:
    return f"{n:,}".replace(",", " ")


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)
