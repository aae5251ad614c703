"""Figures of lifetimes, ages and visited sites."""

from __future__ import annotations

from typing import Any

import pytest

from neurosparse.analysis import plots
from neurosparse.analysis.lifetimes import history_of
from neurosparse.analysis.palette import png

Metrics = list[dict[str, Any]]


def test_a_lifetime_curve_is_the_share_that_lived_at_least_so_long(metrics: Metrics) -> None:
    ax = plots.lifetimes(metrics)
    (line,) = ax.lines  # in the read-out nothing died
    assert line.get_label() == "hidden"
    assert line.get_xdata().tolist() == [1, 2, 4]
    assert line.get_ydata().tolist() == pytest.approx([100, 100 * 4 / 7, 100 * 3 / 7])
    assert "optimizer steps" in ax.get_xlabel()
    assert [label.get_text() for label in ax.get_xticklabels()] == ["1", "2", "4"]


def test_ages_are_those_of_the_living(metrics: Metrics) -> None:
    hidden, output = plots.ages(metrics).lines
    assert hidden.get_ydata().tolist() == pytest.approx([100, 100, 60])
    assert output.get_ydata().tolist() == pytest.approx([100, 100, 100])


def test_a_long_run_has_at_most_nine_numbers_below_its_axis(metrics: Metrics) -> None:
    metrics[-1]["history"]["hidden"]["ages"] = [1] * 20
    ax = plots.ages(metrics)
    labels = [label.get_text() for label in ax.get_xticklabels()]
    assert labels[:3] == ["1", "8", "64"]
    assert len(labels) <= 9


def test_visited_sites_are_a_share_with_a_band_where_they_are_estimated(metrics: Metrics) -> None:
    ax = plots.visited_sites(metrics)
    hidden, output = ax.lines
    assert hidden.get_ydata().tolist() == pytest.approx([50, 100 * 7 / 12, 100 * 8 / 12])
    assert output.get_ydata().tolist() == pytest.approx([100 * 2 / 6] * 3)
    (band,) = ax.collections  # two standard errors of 0.25 of 12 sites, each way
    heights = [y for path in band.get_paths() for x, y in path.vertices if x == 1]
    assert (min(heights), max(heights)) == pytest.approx((50 - 100 / 24, 50 + 100 / 24))


def test_a_run_without_a_history_has_no_lines(metrics: Metrics) -> None:
    for row in metrics:
        del row["history"]
    assert history_of(metrics) == history_of([]) == {}
    assert not plots.lifetimes(metrics).lines
    assert png(plots.visited_sites(metrics).figure)
