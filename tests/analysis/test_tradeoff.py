"""Points, paired tests and the front, counted by hand; the plots draw what they should."""

from __future__ import annotations

import math
from typing import Any

import pytest

from neurosparse.analysis.palette import png
from neurosparse.analysis.tradeoff import (
    accuracy_density,
    accuracy_operations,
    paired_tests,
    pareto_front,
    points,
)


def _row(method: str, density: float, seed: int, accuracy: float, **others: Any) -> dict[str, Any]:
    cost = {"synapses": round(1000 * density), "synaptic_operations": 5000 * density, "seconds": 1.0}
    return {"method": method, "density": density, "seed": seed, "test_accuracy": accuracy, **cost, **others}


ROWS = [
    *(_row("deep_r", 0.1, seed, accuracy) for seed, accuracy in enumerate((0.90, 0.92, 0.94))),
    *(_row("static", 0.1, seed, accuracy) for seed, accuracy in enumerate((0.89, 0.90, 0.91))),
    _row("dense", 1.0, 0, 0.95),
]


def test_a_point_is_mean_deviation_and_confidence_over_seeds() -> None:
    deep_r, static, dense = points(ROWS)
    assert (deep_r.method, deep_r.n, static.method, dense.method) == ("deep_r", 3, "static", "dense")
    assert deep_r.mean == pytest.approx(0.92)
    assert deep_r.sd == pytest.approx(0.02)
    assert deep_r.high - deep_r.mean == pytest.approx(4.302653 * 0.02 / math.sqrt(3), rel=1e-6)  # t(0.975, 2)
    assert (dense.low, dense.mean, dense.high, dense.sd) == (0.95, 0.95, 0.95, 0.0)


def test_an_interval_of_two_seeds_ends_where_accuracies_do_and_does_not_squeeze_the_figure() -> None:
    rows = [_row("deep_r", 0.1, 0, 0.90), _row("deep_r", 0.1, 1, 0.98)]
    (point,) = points(rows)
    assert (point.mean, point.high) == (pytest.approx(0.94), 1.0)  # 0.94 + 12.7 * 0.04 without an end
    assert point.low == pytest.approx(0.94 - 12.706 * 0.04, abs=1e-4)
    low, high = accuracy_density(rows).get_ylim()
    assert 85 < low < 90
    assert 98 < high <= 100.5


def test_methods_are_compared_seed_by_seed() -> None:
    found = {(t.first, t.second): t for t in paired_tests(ROWS)}
    test = found["deep_r", "static"]
    # differences 0.01, 0.02, 0.03: mean 0.02, sd 0.01, t = 0.02 / (0.01 / sqrt 3) = 3.4641, two-sided p of t(2)
    assert (test.n, test.density) == (3, 0.1)
    assert test.difference == pytest.approx(0.02)
    assert test.p == pytest.approx(0.0741799, rel=1e-4)
    against_dense = found["deep_r", "dense"]
    assert (against_dense.n, against_dense.density) == (1, 0.1)
    assert against_dense.difference == pytest.approx(-0.05)
    assert math.isnan(against_dense.p)


def test_varied_values_are_lines_of_their_own() -> None:
    rows = [_row("static", 0.1, 0, 0.5, varied={"network.beta": beta}) for beta in (0.8, 0.9)]
    assert [point.varied for point in points(rows)] == [(("network.beta", 0.8),), (("network.beta", 0.9),)]
    assert paired_tests(rows) == []
    labels = [text.get_text() for text in accuracy_density(rows).get_legend().get_texts()]
    assert labels == ["static, beta 0.8", "static, beta 0.9"]


def test_the_front_has_what_nothing_beats() -> None:
    rows = [_row("a", 0.1, 0, 0.9), _row("b", 0.2, 0, 0.9), _row("c", 0.3, 0, 0.95), _row("d", 0.05, 0, 0.2)]
    front = pareto_front(rows, {"test_accuracy": 1, "synapses": -1})
    assert [row["method"] for row in front] == ["a", "c", "d"]
    assert pareto_front([], {"synapses": -1}) == []


@pytest.mark.parametrize("draw", [accuracy_density, accuracy_operations])
def test_plots_show_every_run_and_the_dense_line(draw: Any) -> None:
    ax = draw(ROWS)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["deep_r", "static", "dense"]
    drawn = sum(len(c.get_offsets()) for c in ax.collections if c.get_offsets().shape[1:] == (2,) and "Path" in str(c))
    assert drawn >= 6
    assert png(ax.figure) == png(draw(ROWS).figure)
    draw([])
    draw(ROWS[-1:])
