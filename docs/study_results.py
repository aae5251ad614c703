"""What the tables of docs/studies have in common: the committed results, Markdown tables, means and spreads."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
PAGES = ROOT / "docs" / "studies"
RESULTS = ROOT / "examples" / "results"
BENCHMARK = ROOT / "benchmarks" / "results" / "bench.json"

Row = dict[str, Any]


@functools.cache
def result(name: str) -> Any:
    """Return the committed result of a study."""
    return json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def spread(values: Sequence[float], digits: int = 2) -> str:
    """Return mean and standard deviation; a lone value has none."""
    text = f"{np.mean(values):.{digits}f}"
    return f"{text} ± {np.std(values, ddof=1):.{digits}f}" if len(values) > 1 else text


def few(rows: Sequence[Row]) -> str:
    """Return a remark where there are fewer than three seeds."""
    return "" if len(rows) >= 3 else f" (n = {len(rows)})"


def mean(rows: Sequence[Row], key: str) -> float:
    """Return the mean of a key over runs."""
    return float(np.mean([r[key] for r in rows]))
