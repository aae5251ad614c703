"""Regenerate tables, figures and every number in docs/studies from examples/results and benchmarks/results.

    python docs/update_studies.py            rewrites them
    python docs/update_studies.py --check    fails if a page is not what the results say

In a page, ``<!-- name:begin -->`` ... ``<!-- name:end -->`` holds a table of `TABLES`, and ``<!--=key-->...<!--/-->`` a
number of `number`: no result is typed by hand.
"""

from __future__ import annotations

import argparse
import functools
import re
import shutil
import sys
from collections.abc import Callable

import numpy as np
from study_methods import (
    CELLS,
    emergent_table,
    method_table,
    of_emergent,
    of_method,
    options_table,
    paired,
    papers_table,
)
from study_results import BENCHMARK, PAGES, RESULTS, Row, few, mean, result, spread, table

from neurosparse.analysis.tradeoff import Paired, paired_tests, points
from neurosparse.benchmarks import suite, tables, training_step
from neurosparse.benchmarks.rounds import ratio

# ---- deep_r_ablations


def ablation_table() -> str:
    """Return every variant's accuracy, its paired difference to the reference, and its births."""
    found = result("deep_r_ablations")
    rows = []
    for name, runs in found.items():
        test = variant(name) if name != "reference" else None
        change = "" if test is None else f"{100 * test.difference:+.2f}"
        interval = "" if test is None else f"{100 * test.low:+.2f} to {100 * test.high:+.2f}"
        births = f"{np.mean([r['births'] / r['synapses'] for r in runs]):.1f}"
        accuracy = spread([100 * r["test_accuracy"] for r in runs])
        rows.append([name, accuracy + few(runs), change, interval, births])
    return table(["", "test accuracy, %", "difference, points", "95 %", "births per synapse"], rows)


def states_table() -> str:
    """Return the validation accuracy with each state of newborns, by density and length of the training."""
    found = result("deep_r_states")
    states = list(dict.fromkeys(r["state"] for r in found))
    rows = []
    for density, epochs in dict.fromkeys((r["density"], r["epochs"]) for r in found):
        cells = [
            spread(
                [
                    100 * r["validation_accuracy"]
                    for r in found
                    if (r["density"], r["epochs"]) == (density, epochs) and r["state"] == s
                ]
            )
            for s in states
        ]
        rows.append([f"{density:.0%}, {epochs} epochs", *cells])
    return table(["validation accuracy, %", *(f"`{s}`" for s in states)], rows)


def against(name: str, other: str, rows: list[Row]) -> Paired:
    """Return the paired test of the runs of one method against those of another."""
    filled = [{"density": 0.0, "synaptic_operations": 0.0, "seconds": 0.0, **r} for r in rows]
    (test,) = paired_tests([r for r in filled if r["method"] in (name, other)])
    if test.first == name:
        return test
    return Paired(name, other, test.density, test.n, -test.difference, -test.high, -test.low, test.p)


def variant(name: str) -> Paired:
    """Return the paired test of a variant against the reference."""
    found = result("deep_r_ablations")
    return against(name, "reference", [{**r, "method": m} for m in (name, "reference") for r in found[m]])


def newborns(state: str, density: float, epochs: int) -> str:
    """Return how many points of validation accuracy a state of newborns is above the corrected age, and the 95 %."""
    rows = [
        {**r, "method": r["state"], "test_accuracy": r["validation_accuracy"]}
        for r in result("deep_r_states")
        if (r["density"], r["epochs"]) == (density, epochs)
    ]
    test = against(state, "age_corrected", rows)
    return f"{100 * test.difference:+.2f} ± {50 * (test.high - test.low):.2f}"


# ---- density_and_rate


def of_rate(density: float, strength: float) -> list[Row]:
    """Return the runs at a density with a strength of the penalty."""
    return [r for r in result("density_and_rate") if (r["density"], r["strength"]) == (density, strength)]


def rate_table() -> str:
    """Return density x strength of the rate penalty: accuracy, operations by the input, by hidden spikes, and saved."""
    rows = []
    for density, strength in sorted(
        {(r["density"], r["strength"]) for r in result("density_and_rate")}, key=lambda pair: (-pair[0], pair[1])
    ):
        found = of_rate(density, strength)
        accuracy = spread([100 * r["test_accuracy"] for r in found]) + few(found)
        thousands = [f"{mean(found, key) / 1e3:.2f}" for key in ("input_operations", "hidden_operations")]
        rows.append([f"{density:.0%}", f"{strength:g}", accuracy, *thousands, f"{saved(density, strength):.0f} %"])
    head = ["density", "penalty", "test accuracy, %", "by the input, 1000", "by hidden spikes, 1000", "of these saved"]
    return table(head, rows)


def saved(density: float, strength: float) -> float:
    """Return the percentage of the hidden operations that a penalty saves."""
    less, all_of_them = (mean(of_rate(density, s), "hidden_operations") for s in (strength, 0.0))
    return 100 * (1 - less / all_of_them)


# ---- robustness_and_density


def of_network(name: str) -> list[Row]:
    """Return the runs of a network."""
    return [r for r in result("robustness_and_density") if r["name"] == name]


def robustness_table() -> str:
    """Return clean and robust accuracy of every network, and how many of the checks have failed."""
    names = list(dict.fromkeys(r["name"] for r in result("robustness_and_density")))
    radii = list(result("robustness_and_density")[0]["robust"])
    rows = []
    for name in names:
        runs = of_network(name)
        robust = [spread([100 * r["robust"][radius] for r in runs], 1) for radius in radii]
        checks = [check["passed"] for r in runs for check in r["checks"]]
        clean = spread([100 * r["test_accuracy"] for r in runs]) + few(runs)
        rows.append([name, clean, *robust, f"{checks.count(False)} of {len(checks)}"])
    return table(["network", "clean", *(f"radius {radius}" for radius in radii), "checks failed"], rows)


# ---- occams_hill


def arm_title(arm: str) -> str:
    """Return what a training set of the study is called in a table."""
    size, _, noise = arm.partition("-")
    return f"{int(size):,}".replace(",", " ") + (", 20 % wrong labels" if noise else "")


def hill_table() -> str:
    """Return test accuracies of every kind of network, one column for each training set that is finished."""
    arms = {arm: {(p.method, p.density): p for p in points(rows)} for arm, rows in result("occams_hill").items()}
    rows = []
    for method, density in dict.fromkeys(key for found in arms.values() for key in found):
        cells = [found.get((method, density)) for found in arms.values()]
        numbers = ["" if p is None else f"{100 * p.mean:.2f} ± {100 * p.sd:.2f}" for p in cells]
        rows.append(["dense, tuned" if method == "dense" else method, f"{density:.0%}", *numbers])
    return table(["network", "density", *map(arm_title, arms)], rows)


def hill_differences() -> str:
    """Return by how much DEEP R and static connectivity are above the tuned dense network; p-values in brackets."""
    arms = list(result("occams_hill"))
    densities = sorted(
        {r["density"] for rows in result("occams_hill").values() for r in rows if r["method"] == "deep_r"}
    )
    rows = [
        [method, f"{density:.0%}", *(hill(arm, method, density) for arm in arms)]
        for method in ("deep_r", "static")
        for density in densities
    ]
    chosen = [f"{best_density(arm):.0%}: {hill(arm, 'deep_r', best_density(arm))}" for arm in arms]
    rows.append(["deep_r", "chosen on validation", *chosen])
    return table(["network", "density", *map(arm_title, arms)], rows)


def best_density(arm: str) -> float:
    """Return the density at which DEEP R has the highest mean accuracy on the validation split."""
    accuracies: dict[float, list[float]] = {}
    for row in result("occams_hill")[arm]:
        if row["method"] == "deep_r":
            accuracies.setdefault(row["density"], []).append(row["validation_accuracy"])
    return max(accuracies, key=lambda density: np.mean(accuracies[density]))


def hill(arm: str, method: str, density: float) -> str:
    """Return by how many points `method` is better than the tuned dense network, and the p-value."""
    if arm not in result("occams_hill"):
        return "not run"
    (test,) = [
        t
        for t in paired_tests(result("occams_hill")[arm])
        if (t.first, t.second, t.density) == (method, "dense", density)
    ]
    p = "p < 0.001" if test.p < 0.001 else f"p = {test.p:.3f}"
    return f"{100 * test.difference:+.2f} ({p})"


def hill_best(arm: str) -> str:
    """Return density, difference to the dense network and p-value of DEEP R at the density chosen on validation."""
    if arm not in result("occams_hill"):
        return "not run"
    density = best_density(arm)
    return f"{hill(arm, 'deep_r', density)} at {100 * density:g} %"


# ---- benchmarks


def benefit(what: str, density: float) -> float:
    """Return how many times as much a training step of dense snnTorch takes as ours at `density`."""
    part = suite.load(BENCHMARK)["training_step"]
    (row,) = [row for row in part["rows"] if row["density"] == density]
    dense, ours = (row["facts"][name] for name in (training_step.SNNTORCH, training_step.OURS))
    if what == "time":
        return ratio(row["times"], training_step.SNNTORCH, training_step.OURS)
    keys = {
        "weights": ("weights_bytes", "optimizer_bytes"),
        "held": ("weights_bytes", "optimizer_bytes", "index_bytes"),
        "process": ("peak_rss",),
        "operations": ("synaptic_operations",),
    }[what]
    return float(sum(dense[key] for key in keys) / sum(ours[key] for key in keys))


TABLES: dict[str, Callable[[], str]] = {
    **{f"methods-{cell}": functools.partial(method_table, cell) for cell in CELLS},
    "methods-options": options_table,
    "methods-emergent": emergent_table,
    "methods-papers": papers_table,
    "states": states_table,
    "ablations": ablation_table,
    "rates": rate_table,
    "robustness": robustness_table,
    "hill": hill_table,
    "hill-differences": hill_differences,
    "memory": lambda: tables.memory_table(suite.load(BENCHMARK)["training_step"]),
    "speed": lambda: tables.training_table(suite.load(BENCHMARK)["training_step"]),
    "growth": lambda: tables.growth_table(suite.load(BENCHMARK)["growth"]),
}


def number(key: str) -> str:
    """Return a number of the running text.

    ``accuracy METHOD DENSITY``; ``emergent METHOD VALUE`` (accuracy and the density reached); ``difference METHOD
    METHOD DENSITY`` (points, with its p); ``ratio KEY METHOD METHOD DENSITY`` (how many times as large the first one's
    is); ``variant NAME`` (points against the reference); ``newborns STATE DENSITY EPOCHS`` (against the corrected
    age); ``saved`` and ``lost DENSITY STRENGTH`` (hidden operations, points of accuracy); ``robust RADIUS NETWORK``;
    ``benefit WHAT DENSITY`` (how many times as much dense training takes); ``hill ARM METHOD DENSITY`` and ``hill-best
    ARM`` (points above the tuned dense network); ``large peak_rss`` (of the large layer).
    """
    kind, _, rest = key.partition(" ")
    words = rest.split(" ")
    if kind == "accuracy":
        return f"{100 * mean(of_method(words[0], float(words[1])), 'test_accuracy'):.2f}"
    if kind == "emergent":
        found = of_emergent(words[0], float(words[1]))
        return f"{100 * mean(found, 'test_accuracy'):.1f} % with {100 * mean(found, 'density'):.1f} %"
    if kind == "difference":
        test = paired(words[0], words[1], float(words[2]))
        p = "p < 0.001" if test.p < 0.001 else f"p = {test.p:.3f}"
        return f"{100 * test.difference:+.2f}" + (f" ({p})" if np.isfinite(test.p) else "")
    if kind == "ratio":
        column, first, second, density = words
        one, other = (of_method(m, 1.0 if m == "dense" else float(density)) for m in (first, second))
        return f"{mean(one, column) / mean(other, column):.2g}"
    if kind == "benefit":
        return f"{benefit(words[0], float(words[1])):.3g}"
    if kind == "saved":
        return f"{saved(float(words[0]), float(words[1])):.0f} %"
    if kind == "lost":
        without, penalised = (mean(of_rate(float(words[0]), s), "test_accuracy") for s in (0.0, float(words[1])))
        return f"{100 * (penalised - without):+.2f}"
    if kind == "robust":
        radius, _, name = rest.partition(" ")
        return f"{np.mean([100 * r['robust'][radius] for r in of_network(name)]):.1f}"
    if kind == "hill":
        return hill(words[0], words[1], float(words[2]))
    if kind == "hill-best":
        return hill_best(words[0])
    if kind == "large":
        return f"{suite.load(BENCHMARK)['large_layer']['facts'][rest] / 1e6:.0f} MB"
    if kind == "newborns":
        return newborns(words[0], float(words[1]), int(words[2]))
    if kind == "variant":
        return f"{100 * variant(rest).difference:+.2f}"
    raise SystemExit(f"docs/studies: unknown number {key!r}")


def regenerated(text: str, page: str) -> str:
    """Return the text of a page with its tables and numbers renewed."""

    def block(match: re.Match[str]) -> str:
        if match[1] not in TABLES:
            raise SystemExit(f"docs/studies/{page}: unknown table {match[1]!r}")
        return f"<!-- {match[1]}:begin -->\n{TABLES[match[1]]()}\n<!-- {match[1]}:end -->"

    text = re.sub(r"<!-- (\S+):begin -->\n.*?<!-- \1:end -->", block, text, flags=re.DOTALL)
    return re.sub(r"<!--=(.+?)-->.*?<!--/-->", lambda m: f"<!--={m[1]}-->{number(m[1])}<!--/-->", text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 if a page is out of date")
    check = parser.parse_args().check
    stale = []
    for page in sorted(PAGES.glob("*.md")):
        old = page.read_text(encoding="utf-8")
        new = regenerated(old, page.name)
        stale += [page.name] if new != old else []
        if not check:
            page.write_text(new, encoding="utf-8")
        for figure in re.findall(r"\]\(figures/(\w+\.png)\)", new):
            source, copy = RESULTS / figure, PAGES / "figures" / figure
            if copy.is_file() and copy.read_bytes() == source.read_bytes():
                continue
            stale.append(figure)
            if not check:
                copy.parent.mkdir(exist_ok=True)
                shutil.copy(source, copy)
    if check and stale:
        sys.exit(f"docs/studies: out of date: {', '.join(stale)}; run python docs/update_studies.py")


if __name__ == "__main__":
    main()
