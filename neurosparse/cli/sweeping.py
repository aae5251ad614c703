"""What ``neurosparse sweep`` needs around the sweep itself: its plan from options, and its results as tables."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neurosparse.analysis.sweep_report import OBJECTIVES, write_sweep_report
from neurosparse.analysis.tradeoff import Paired, Point, paired_tests, pareto_front, points
from neurosparse.core.container import write_atomically
from neurosparse.errors import ValidationError

if TYPE_CHECKING:
    from rich.table import Table

    from neurosparse.sweep import Sweep, SweepPlan

__all__ = ["Summary", "plan_of", "summarise"]


def plan_of(
    config: Path, density: list[str] | None, method: list[str] | None, vary: list[str] | None, seeds: int, search: int
) -> SweepPlan:
    """Return the plan that the options of the command describe; what is not given is as in the configuration."""
    from neurosparse.sweep import SweepPlan
    from neurosparse.training.config import RunConfig

    base = RunConfig.load(config)
    given = base.network.density
    if density is None and isinstance(given, list):
        raise ValidationError(f"sweep --density: {config} has one density per connection; name those of the sweep")
    axes: dict[str, list[Any]] = {}
    for text in vary or []:
        key, separator, values = text.partition("=")
        if not separator:
            raise ValidationError(f"sweep --vary: must be KEY=V1,V2, got {text!r}")
        axes[key] = [_value(value) for value in values.split(",")]
    return SweepPlan.make(
        base=base.model_dump(exclude_none=True),
        densities=[_number(value) for value in _split(density)] or [given],
        methods=_split(method) or [base.method.name],
        vary=axes,
        seeds=seeds,
        search=search,
    )


@dataclass(frozen=True)
class Summary:
    """The results of a sweep so far: its points, its paired tests, and the files they were written to."""

    plan: SweepPlan
    counts: dict[str, int]
    points: list[Point]
    tests: list[Paired]
    front: list[dict[str, Any]]
    files: list[Path]

    def to_dict(self) -> dict[str, Any]:
        """Return everything, ready for JSON."""
        return {
            "counts": self.counts,
            "points": [asdict(point) for point in self.points],
            "paired_tests": [asdict(test) for test in self.tests],
            "pareto_front": self.front,
            "files": self.files,
        }

    def tables(self) -> list[Table]:
        """Return the tables to print."""
        if self.plan.search:
            return [_front_table(self.front)] if self.front else []
        tables = [_point_table(self.points)] if self.points else []
        return [*tables, _test_table(self.tests)] if self.tests else tables


def summarise(sweep: Sweep) -> Summary:
    """Return the results of `sweep` so far, and write ``results.json`` and the figures beside its plan."""
    from neurosparse.sweep import read_results

    rows = [vars(result) for result in read_results(sweep.path)]
    front = pareto_front(rows, OBJECTIVES) if rows else []
    found = Summary(sweep.plan, sweep.counts(), points(rows), paired_tests(rows), [dict(row) for row in front], [])
    content = json.dumps({"runs": rows, **{k: v for k, v in found.to_dict().items() if k != "files"}}, indent=1)
    write_atomically(sweep.path / "results.json", content.encode())
    found.files.append(sweep.path / "results.json")
    counts = found.counts
    found.files.append(
        write_sweep_report(
            sweep.path, rows, complete=counts["complete"], total=counts["total"], plan=sweep.plan.to_json()
        )
    )
    return found


def _point_table(found: list[Point]) -> Table:
    table = _table("Test accuracy", ["method", "density", "accuracy", "95 %", "n", "synapses", "operations", "s"])
    for p in found:
        table.add_row(
            ", ".join([p.method, *(f"{key}={value}" for key, value in p.varied)]),
            f"{p.density:.2%}",
            f"{p.mean:.2%} ± {100 * p.sd:.2f}",
            f"{100 * p.low:.2f} to {100 * p.high:.2f}" if p.n > 1 else "",
            str(p.n),
            f"{p.synapses:.0f}",
            f"{p.synaptic_operations:.0f}",
            f"{p.seconds:.1f}",
        )
    return table


def _test_table(tests: list[Paired]) -> Table:
    table = _table("Paired by seed", ["comparison", "density", "difference", "95 %", "pairs", "p"])
    for t in tests:
        table.add_row(
            f"{t.first} - {t.second}",
            f"{t.density:.2%}",
            f"{100 * t.difference:+.2f}",
            f"{100 * t.low:+.2f} to {100 * t.high:+.2f}" if t.n > 1 else "",
            str(t.n),
            "" if math.isnan(t.p) else f"{t.p:.3g}",
        )
    return table


def _front_table(front: list[dict[str, Any]]) -> Table:
    table = _table(
        "Not beaten in accuracy, synapses and operations together", ["run", "accuracy", "synapses", "operations"]
    )
    for row in sorted(front, key=lambda row: row["synapses"]):
        name = str(row["run"]).rpartition("/")[2]
        table.add_row(name, f"{row['test_accuracy']:.2%}", str(row["synapses"]), f"{row['synaptic_operations']:.0f}")
    return table


def _table(title: str, headings: list[str]) -> Table:
    from rich.table import Table

    table = Table(title=title, title_justify="left", title_style="bold")
    for i, heading in enumerate(headings):
        table.add_column(heading, justify="right" if i else "left", no_wrap=True)
    return table


def _split(values: list[str] | None) -> list[str]:
    return [part.strip() for value in values or [] for part in value.split(",") if part.strip()]


def _number(text: str) -> float:
    try:
        return float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        raise ValidationError(f"sweep --density: must be numbers such as 0.01,0.05 or 1%,5%, got {text!r}") from None


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
