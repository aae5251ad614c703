"""Regenerate the marked parts of README.md: the demo's table and figure, the support matrix, the examples' results.

    python docs/update_readme.py            runs the demo and rewrites everything
    python docs/update_readme.py --no-demo  rewrites everything but the demo's table
    python docs/update_readme.py --check    fails if the matrix or the results are not what the code and files say

No number in the README is typed by hand.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from neurosparse import LI, LIF, CubaLIF, Input, Network, Population, Projection
from neurosparse.analysis.palette import png
from neurosparse.backends import BACKENDS, get_backend
from neurosparse.benchmarks import suite, tables
from neurosparse.benchmarks.figures import speed_figure

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
RESULTS = ROOT / "examples" / "results"
BENCHMARK = ROOT / "benchmarks" / "results" / "bench.json"
STUDIES = {"mnist-1.33pc": "MNIST 1.33 %", "mnist-5pc": "MNIST 5 %", "digits": "digits 5 %, 64-256-128-10"}
CONDITIONS = {"deep_r": "DEEP R", "static": "static random", "dense": "dense"}


def feature_networks() -> dict[str, Network]:
    """Return one tiny network for each thing an engine may or may not be able to express."""
    weights = np.float32([[0.5, 0.25], [0.75, 1.0]])
    into = Projection.from_dense("input", "a", weights)
    back = Projection.from_dense("a", "a", weights, delay=1)

    def one(neuron, *more: Projection, kind: str = "spikes") -> Network:
        return Network(Input(2, kind), [Population("a", 2, neuron)], [into, *more])

    feedback = [Projection.from_dense("a", "b", weights), Projection.from_dense("b", "a", weights, delay=1)]
    return {
        "LIF, subtractive reset": one(LIF(reset="subtract")),
        "LIF, reset to zero": one(LIF(reset="zero")),
        "LIF without reset": one(LIF(reset="none")),
        "CubaLIF": one(CubaLIF()),
        "LI read-out": one(LI()),
        "biases": one(LIF(bias=0.25)),
        "recurrence": one(LIF(), back),
        "delays": Network(
            Input(2), [Population("a", 2, LIF())], [Projection.from_dense("input", "a", weights, delay=3)]
        ),
        "8-bit graded input": one(LIF(), kind="graded"),
        "feedback over two hops in one step": Network(
            Input(2), [Population("a", 2, LIF()), Population("b", 2, LIF())], [into, *feedback]
        ),
    }


def support_matrix() -> str:
    """Return the support matrix as a Markdown table, from what the engines declare."""
    names = BACKENDS.names()
    lines = ["| | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for feature, network in feature_networks().items():
        cells = ["no" if get_backend(name).unsupported(network) else "exact" for name in names]
        lines.append(f"| {feature} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def results_table() -> str:
    """Return the accuracies in ``examples/results`` as a Markdown table."""
    lines = ["| | condition | synapses | test accuracy | seeds |", "|---|---|---|---|---|"]
    for study, title in STUDIES.items():
        path = RESULTS / f"{study}.json"
        if not path.is_file():
            continue
        for condition, rows in json.loads(path.read_text()).items():
            test = np.array([row["test"] for row in rows]) * 100
            spread = f" ± {test.std(ddof=1):.2f}" if test.size > 1 else ""
            synapses = f"{rows[0]['synapses']:,}".replace(",", " ")
            cells = [
                title,
                CONDITIONS[condition],
                synapses,
                f"{test.mean():.2f}{spread} %",
                test.size,
            ]
            lines.append("| " + " | ".join(str(cell) for cell in cells) + " |")
    return "\n".join(lines)


def demo_table() -> str:
    """Run the demo, keep its figure, and return its table as Markdown."""
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "demo"
        command = [sys.executable, "-m", "neurosparse.cli", "demo", "--out", str(run), "--json"]
        output = subprocess.run(command, check=True, capture_output=True, text=True, timeout=900).stdout
        summary = json.loads(output.strip().splitlines()[-1])
        (ROOT / "docs" / "figures").mkdir(exist_ok=True)
        shutil.copy(run / "figures" / "overview.png", ROOT / "docs" / "figures" / "demo.png")
    synapses = f"{summary['synapses']:,}".replace(",", " ")
    lines = [
        f"{synapses} synapses, density {summary['density']:.4f}; the 360 test images of scikit-learn's digits:",
        "",
        "| engine | accuracy | spikes | seconds, start-up included | against the reference |",
        "|---|---|---|---|---|",
    ]
    for row in summary["simulations"]:
        if row["missing"]:
            lines.append(f"| {row['backend']} | | | | not installed |")
            continue
        verdict = "judge" if row["identical"] is None else "identical" if row["identical"] else "**differs**"
        spikes = f"{row['spikes']:,}".replace(",", " ")
        lines.append(
            f"| {row['backend']} | {100 * row['accuracy']:.2f} % | {spikes} | {row['seconds']:.2f} | {verdict} |"
        )
    return "\n".join(lines)


def replaced(text: str, name: str, content: str) -> str:
    """Return `text` with what stands between the markers of `name` replaced."""
    pattern = re.compile(rf"(<!-- {name}:begin -->\n).*?(<!-- {name}:end -->)", re.DOTALL)
    if not pattern.search(text):
        raise SystemExit(f"README.md: the markers of {name!r} are missing")
    return pattern.sub(lambda match: f"{match[1]}{content}\n{match[2]}", text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--check", action="store_true", help="change nothing; exit 1 if the cheap parts are out of date"
    )
    parser.add_argument("--no-demo", action="store_true", help="keep the demo's table and figure as they are")
    options = parser.parse_args()
    check = options.check
    old = README.read_text(encoding="utf-8")
    measured = suite.load(BENCHMARK)
    contents = {"support": support_matrix(), "results": results_table(), "speed": tables.summary(measured)}
    new = old
    for name, content in contents.items():
        new = replaced(new, name, content)
    if check:
        if new != old:
            raise SystemExit("README.md is out of date: run python docs/update_readme.py")
        return
    (ROOT / "docs" / "figures" / "speed.png").write_bytes(png(speed_figure(measured)))
    README.write_text(new if options.no_demo else replaced(new, "demo", demo_table()), encoding="utf-8")


if __name__ == "__main__":
    main()
