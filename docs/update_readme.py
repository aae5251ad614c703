"""Regenerate the marked parts of README.md and of pages here: demo, support matrix, results, benchmarks, gallery.

    python docs/update_readme.py            runs the demo and rewrites everything
    python docs/update_readme.py --no-demo  rewrites everything but the demo's table
    python docs/update_readme.py --check    fails if a part is not what the code and the committed results say

What stands between ``<!-- name:begin -->`` and ``<!-- name:end -->`` is generated; `PAGES` says which page has which
parts. No number there is typed by hand.
"""

from __future__ import annotations

import argparse
import ast
import inspect
import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import typer

from neurosparse import LI, LIF, CubaLIF, Input, Network, Population, Projection
from neurosparse.analysis.palette import png
from neurosparse.backends import BACKENDS, get_backend
from neurosparse.benchmarks import suite, tables
from neurosparse.benchmarks.figures import growth_figure, speed_figure
from neurosparse.cli.app import app

ROOT = Path(__file__).resolve().parent.parent
FIGURES = ROOT / "docs" / "figures"
EXAMPLES = ROOT / "examples"
RESULTS = EXAMPLES / "results"
BENCHMARK = ROOT / "benchmarks" / "results" / "bench.json"
STUDIES = {"mnist-1.33pc": "MNIST 1.33 %", "mnist-5pc": "MNIST 5 %", "digits": "digits 5 %, 64-256-128-10"}
CONDITIONS = {"deep_r": "DEEP R", "static": "static random", "dense": "dense"}
PAGES = {
    "README.md": ("demo", "support-short", "results", "speed"),
    "docs/support.md": ("support",),
    "docs/gallery.md": ("models", "results", "studies"),
    "docs/explanation/quantisation.md": ("integers",),
    "docs/reference/cli.md": ("commands",),
    "docs/explanation/speed.md": (
        "speed",
        "layer",
        "training",
        "memory",
        "simulation",
        "growth",
        "profile",
        "profile-training",
        "choice",
        "targets",
    ),
}


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


def support_matrix(*, short: bool = False) -> str:
    """Return the support matrix as a Markdown table, from what the engines declare; short: equal rows are one."""
    names = BACKENDS.names()
    rows: dict[str, list[str]] = {}
    for feature, network in feature_networks().items():
        rows[feature] = ["no" if get_backend(name).unsupported(network) else "exact" for name in names]
    integers = "Loihi's integers (`QuantizedNetwork`)"
    rows[integers] = ["exact" if getattr(get_backend(name), "integers", False) else "no" for name in names]
    if short:
        equal: dict[tuple[str, ...], list[str]] = {}
        for feature, cells in rows.items():
            equal.setdefault(tuple(cells), []).append(feature)
        rows = {"; ".join(features): list(cells) for cells, features in equal.items()}
    lines = ["| | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    lines += [f"| {feature} | " + " | ".join(cells) + " |" for feature, cells in rows.items()]
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


def benchmark_tables(measured: dict[str, Any]) -> dict[str, str]:
    """Return the tables of ``benchmarks/results/bench.json`` by marker; of a part that has not been run, a line."""
    parts = {
        "layer": ("layer_step", tables.layer_table),
        "training": ("training_step", tables.training_table),
        "memory": ("training_step", tables.memory_table),
        "simulation": ("simulation", tables.simulation_table),
        "growth": ("growth", tables.growth_table),
        "profile": ("profile", tables.profile_table),
        "profile-training": ("profile", tables.profile_training_table),
        "choice": ("choice", tables.choice_table),
    }
    found = {"speed": tables.summary(measured), "targets": tables.targets_table(measured)}
    for name, (part, table) in parts.items():
        missing = f"*Not measured yet: `neurosparse bench --part {part}`.*"
        found[name] = table(measured[part]) if part in measured else missing
    return found


def page_of(figure: str) -> str | None:
    """Return the page in ``docs/studies`` that shows `figure`; `update_studies.py` puts the figure beside it."""
    for page in sorted((ROOT / "docs" / "studies").glob("*.md")):
        if f"](figures/{figure}.png)" in page.read_text(encoding="utf-8"):
            return page.name
    return None


def studies() -> dict[str, tuple[str, str]]:
    """Return the scripts in ``examples`` that have made a figure, by name: what they ask, and their command."""
    found = {}
    for script in sorted(EXAMPLES.glob("*.py")):
        if (RESULTS / f"{script.stem}.png").is_file():
            text = ast.get_docstring(ast.parse(script.read_text(encoding="utf-8"))) or ""
            commands = [line.strip() for line in text.splitlines() if line.strip().startswith("python examples/")]
            command = re.split(r"  +", commands[0])[0] if commands else f"python examples/{script.name}"
            found[script.stem] = text.splitlines()[0], command
    return found


def gallery() -> str:
    """Return every study's figure with the first line of its script and the command that makes it."""
    shown = []
    for name, (question, command) in studies().items():
        page = page_of(name)
        folder, found = ("studies/figures", f" [What was found](studies/{page})") if page else ("figures", "")
        shown.append(f"![{question}]({folder}/{name}.png)\n\n*{question}*{found} `{command}`")
    return "\n\n".join(["", *shown, ""]) if shown else "*None yet.*"


def commands() -> str:
    """Return every command of the command line with its arguments and options."""
    lines = []
    group = typer.main.get_command(app)
    for name, command in sorted(group.commands.items()):
        arguments = [p.metavar or p.name.upper() for p in command.params if p.param_type_name == "argument"]
        words = " ".join(["neurosparse", name, *arguments])
        # "format: what it is" is a list, a line each; Markdown would join the lines
        text = re.sub(r"\n(?=\w+: )", "  \n", inspect.cleandoc(command.help or ""))
        lines += [f"## {name}", "", f"`{words}`", "", text, "", "| option | meaning |", "|---|---|"]
        for option in (p for p in command.params if p.param_type_name == "option"):
            names, told = "`, `".join(option.opts), (option.help or "").replace("|", "\\|")
            lines.append(f"| `{names}` | {told} |")
        lines.append("")
    return "\n".join(lines)


def figures(measured: dict[str, Any]) -> dict[Path, bytes]:
    """Return the figures that pages here show, except the demo's."""
    unpaged = [name for name in studies() if page_of(name) is None]
    made = {FIGURES / f"{name}.png": (RESULTS / f"{name}.png").read_bytes() for name in unpaged}
    made[FIGURES / "speed.png"] = png(speed_figure(measured))
    if "growth" in measured:
        made[FIGURES / "growth.png"] = png(growth_figure(measured))
    return made


def integers_table() -> str | None:
    """Return what Loihi's integers cost on MNIST, as a Markdown table; None where the study has not been run."""
    path = RESULTS / "integers_on_mnist.json"
    if not path.is_file():
        return None
    lines = ["| density | bits | float | quantised after training | trained in integers | synapses |", "|---" * 6 + "|"]
    for density, found in json.loads(path.read_text()).items():
        for bits, row in found.items():
            if bits != "float":
                shares = [f"{100 * share:.2f} %" for share in (found["float"], row["after_training"], row["trained"])]
                synapses = f"{row['synapses_trained']:,}".replace(",", " ")
                lines.append("| " + " | ".join([density, bits, *shares, synapses]) + " |")
    return "\n".join(lines)


def models_table() -> str:
    """Return the trained networks in ``models`` as a Markdown table."""
    lines = ["| `models/` | shape | synapses | test accuracy |", "|---|---|---|---|"]
    for path in sorted((ROOT / "models").glob("*/results.json")):
        found = json.loads(path.read_text(encoding="utf-8"))
        synapses = f"{found['synapses']:,} ({found['density']:.2%})".replace(",", " ")
        shape = "-".join(str(n) for n in found["shape"])
        lines.append(f"| `{path.parent.name}` | {shape} | {synapses} | {found['test_accuracy']:.2%} |")
    return "\n".join(lines)


def demo_table() -> str:
    """Run the demo, keep its figure, and return its table as Markdown."""
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "demo"
        command = [sys.executable, "-m", "neurosparse.cli", "demo", "--out", str(run), "--json"]
        output = subprocess.run(command, check=True, capture_output=True, text=True, timeout=900).stdout
        summary = json.loads(output.strip().splitlines()[-1])
        FIGURES.mkdir(exist_ok=True)
        shutil.copy(run / "figures" / "overview.png", FIGURES / "demo.png")
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


def replaced(text: str, page: str, name: str, content: str) -> str:
    """Return `text` with what stands between the markers of `name` replaced."""
    pattern = re.compile(rf"(<!-- {name}:begin -->\n).*?(<!-- {name}:end -->)", re.DOTALL)
    if not pattern.search(text):
        raise SystemExit(f"{page}: the markers of {name!r} are missing")
    return pattern.sub(lambda match: f"{match[1]}{content}\n{match[2]}", text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--check", action="store_true", help="change nothing; exit 1 if the cheap parts are out of date"
    )
    parser.add_argument("--no-demo", action="store_true", help="keep the demo's table and figure as they are")
    options = parser.parse_args()
    measured = suite.load(BENCHMARK)
    contents = {"support": support_matrix(), "support-short": support_matrix(short=True)}
    contents |= {"results": results_table(), "studies": gallery(), "models": models_table(), "commands": commands()}
    contents |= benchmark_tables(measured)
    integers = integers_table()
    if integers is not None:
        contents["integers"] = integers
    if not options.check and not options.no_demo:
        contents["demo"] = demo_table()
    stale = []
    for page, parts in PAGES.items():
        path = ROOT / page
        old = new = path.read_text(encoding="utf-8")
        for name in parts:
            if name in contents:
                new = replaced(new, page, name, contents[name])
        stale += [page] if new != old else []
        if not options.check:
            path.write_text(new, encoding="utf-8")
    if not options.check:
        FIGURES.mkdir(exist_ok=True)
        for path, content in figures(measured).items():
            path.write_bytes(content)
        return
    # pixels differ between machines, so the figures that are drawn here are not compared
    unpaged = [name for name in studies() if page_of(name) is None]
    stale += [f"docs/figures/{name}.png" for name in unpaged if not (FIGURES / f"{name}.png").is_file()]
    if stale:
        raise SystemExit(f"{', '.join(stale)}: out of date, run python docs/update_readme.py --no-demo")


if __name__ == "__main__":
    main()
