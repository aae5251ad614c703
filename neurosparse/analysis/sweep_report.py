"""One HTML page about a sweep: the trade-offs, every run as a point, paired tests, and what nothing beats."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from neurosparse.analysis.pages import data_uri, render
from neurosparse.analysis.palette import png
from neurosparse.analysis.tradeoff import accuracy_density, accuracy_operations, paired_tests, pareto_front, points
from neurosparse.core.container import write_atomically

__all__ = ["OBJECTIVES", "write_sweep_report"]

OBJECTIVES = {"test_accuracy": 1, "synapses": -1, "synaptic_operations": -1}
"""What makes a run better: more accuracy, fewer synapses, fewer operations."""


def write_sweep_report(
    folder: Path, rows: Sequence[Mapping[str, Any]], *, complete: int, total: int, plan: str, title: str = ""
) -> Path:
    """Write ``report.html`` and ``figures/`` into the folder of a sweep and return the page's path.

    Parameters
    ----------
    rows : sequence of mappings
        The finished runs, as `neurosparse.analysis.tradeoff` reads them.
    complete, total : int
        How many runs are complete, of how many.
    plan : str
        The plan of the sweep, as text.
    """
    figures = []
    captions = {
        accuracy_density: "Test accuracy against density.",
        accuracy_operations: "Test accuracy against synaptic operations per sample.",
    }
    for draw, caption in captions.items() if rows else ():
        content = png(draw(rows).figure)
        write_atomically(folder / "figures" / f"{draw.__name__}.png", content)
        figures.append((caption, data_uri("png", content)))
    page = render(
        "sweep",
        title=title or folder.resolve().name,
        complete=complete,
        total=total,
        figures=figures,
        points=points(rows),
        tests=paired_tests(rows),
        front=sorted(pareto_front(rows, OBJECTIVES), key=lambda row: row["synapses"]),
        plan=plan,
    )
    write_atomically(folder / "report.html", page.encode())
    return folder / "report.html"
