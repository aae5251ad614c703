"""The tables of docs/studies/methods.md: every method and density, densities that are results, the papers' networks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from study_results import Row, few, mean, result, spread, table

from neurosparse.analysis.tradeoff import Paired, paired_tests


def of_method(method: str, density: float | None = None) -> list[Row]:
    """Return the runs of a method, at one density or at all."""
    return [r for r in result("methods_on_mnist")["rows"] if r["method"] == method and density in (None, r["density"])]


def methods_and_densities() -> tuple[list[str], list[float]]:
    """Return what the table has: its methods as they are in the results, its densities falling."""
    rows = result("methods_on_mnist")["rows"]
    return list(dict.fromkeys(r["method"] for r in rows)), sorted({r["density"] for r in rows} - {1.0}, reverse=True)


def method_table(cell: str) -> str:
    """Return method x density of one of `CELLS`; networks that end dense have a column of their own, 100 %."""
    methods, densities = methods_and_densities()
    rows = []
    for method in methods:
        held = "yes" if of_method(method)[0]["holds_dense"] else "no"
        cells = [CELLS[cell](found) if (found := of_method(method, d)) else "" for d in [*densities, 1.0]]
        rows.append([f"`{method}`", held, *cells])
    return table(["method", "holds a dense matrix", *(f"{d:.0%}" for d in densities), "100%"], rows)


CELLS = {
    "accuracy": lambda rows: spread([100 * r["test_accuracy"] for r in rows]) + few(rows),
    "training_operations": lambda rows: f"{mean(rows, 'training_operations') / 1e9:.2f}",
    "operations": lambda rows: f"{mean(rows, 'synaptic_operations') / 1e3:.1f}",
    "kib": lambda rows: f"{max(r['training_bytes'] for r in rows) / 1024:.0f}",
    "seconds": lambda rows: seconds(rows[0]),
}


def seconds(row: Row) -> str:
    """Return the CPU seconds of the 474 optimizer steps of a method at a density, where its steps were timed."""
    times = result("methods_on_mnist")["step_milliseconds"].get(row["method"], {})
    return f"{474 * times[density] / 1000:.1f}" if (density := f"{row['density']:g}") in times else ""


def of_emergent(method: str, value: float | None = None) -> list[Row]:
    """Return the runs of a method whose density is a result, with one value of its option or with all."""
    rows = [r for r in result("methods_on_mnist")["emergent"] if r["method"] == method]
    return [r for r in rows if value in (None, *r["knob"].values())]


def emergent_table() -> str:
    """Return the density that each value of an option led to, and by how much that beats DEEP R at this density."""
    rows = []
    for method in dict.fromkeys(r["method"] for r in result("methods_on_mnist")["emergent"]):
        (option,) = of_emergent(method)[0]["knob"]
        for value in dict.fromkeys(r["knob"][option] for r in of_emergent(method)):
            found = of_emergent(method, value)
            density, reached = mean(found, "density"), spread([100 * r["density"] for r in found])
            accuracy = spread([100 * r["test_accuracy"] for r in found]) + few(found)
            above = above_deep_r(found) if 0.01 <= density <= 0.1 else None
            work = f"{mean(found, 'training_operations') / 1e9:.2f}"
            gain = "" if above is None else f"{above:+.2f}"
            rows.append([f"`{method}`", f"`{option} = {value:g}`", reached, accuracy, gain, work])
    head = ["method", "with", "density reached, %", "test accuracy, %", "above `deep_r`", "training operations, 10^9"]
    return table(head, rows)


def above_deep_r(rows: Sequence[Row]) -> float:
    """Return by how many points runs are above DEEP R at their density, between its points in log density."""
    densities = sorted(methods_and_densities()[1])
    means = [100 * mean(of_method("deep_r", density), "test_accuracy") for density in densities]
    there = np.interp(np.log(mean(rows, "density")), np.log(densities), means)
    return float(100 * mean(rows, "test_accuracy") - there)


def options_table() -> str:
    """Return what was chosen for every method on the validation split."""
    chosen = result("methods_on_mnist")["chosen"]
    cells = {name: ", ".join(f"`{key} = {value}`" for key, value in found.items()) for name, found in chosen.items()}
    return table(["method", "chosen"], [[f"`{name}`", text] for name, text in cells.items()])


def papers_table() -> str:
    """Return the networks of papers beside their published numbers: K, ours with rewiring and without, published."""
    deep_r, rigl = result("bellec_2018_deep_rewiring"), result("evci_2020_rigl")
    cells = [("DEEP R, K = 3 552, 10 epochs", deep_r["deep_r"], deep_r["static"], f"{deep_r['published']}")]
    for arm, label in (("plain", "200 epochs"), ("shifts", "100 epochs, images shifted by up to a pixel")):
        rows = rigl["arms"][arm]["rows"]
        published = f"{rigl['published']}" if arm == "plain" else f"({rigl['published']} without shifts)"
        cells.append((f"RigL, K = 6 652, {label}", rows["rigl"], rows["static"], published))
    texts = [
        [name, *(f"{spread([100 * r['test'] for r in rows])}{few(rows)}" for rows in (ours, static)), published]
        for name, ours, static, published in cells
    ]
    return table(["ReLU 784-300-100-10", "ours, %", "static, %", "published, %"], texts)


def paired(first: str, second: str, density: float) -> Paired:
    """Return the paired test of two methods of the table at a density."""
    rows = [r for m in (first, second) for r in of_method(m, None if m == "dense" else density)]
    (test,) = [t for t in paired_tests(rows) if t.density == density]
    if test.first == first:
        return test
    return Paired(first, second, density, test.n, -test.difference, -test.high, -test.low, test.p)
