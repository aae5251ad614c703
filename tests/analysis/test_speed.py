"""Plots of speed: factors against density, time against size."""

from __future__ import annotations

import pytest

from neurosparse.analysis.palette import GREY, SERIES, new_row
from neurosparse.analysis.speed import gains, growth, speed_ups


def test_speed_ups_are_over_percent_with_ours_in_colour_and_first_in_the_legend() -> None:
    measured = {"a peer": [(0.01, 2.0), (1.0, 0.5)], "ours": [(0.01, 40.0), (1.0, 1.0)]}
    ax = speed_ups(measured, emphasised=["ours"], reference="snnTorch")
    lines = {line.get_label(): line for line in ax.lines}
    assert lines["ours"].get_xdata() == pytest.approx([1.0, 100.0])
    assert lines["ours"].get_ydata() == pytest.approx([40.0, 1.0])
    assert (lines["ours"].get_color(), lines["a peer"].get_color()) == (SERIES[0], GREY)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["ours", "a peer"]
    assert ax.get_ylabel() == "times as fast as snnTorch"
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")


def test_gains_share_one_axis() -> None:
    ax = gains([0.01, 0.1], {"faster": [20.0, 9.0], "smaller": [80.0, 8.0]}, reference="dense snnTorch")
    assert [line.get_label() for line in ax.lines[:2]] == ["faster", "smaller"]
    assert ax.lines[1].get_ydata() == pytest.approx([80.0, 8.0])
    assert ax.get_ylim()[1] > 80.0


def test_growth_shows_milliseconds_beside_the_straight_line_through_the_ends() -> None:
    ax = growth([10, 100, 1000], [0.1, 0.3, 1.09], x="synapses", ax=new_row(1, (3, 3))[0])
    line, points = ax.lines
    assert points.get_ydata() == pytest.approx([100, 300, 1090])
    assert (line.get_ydata()[0], line.get_ydata()[-1]) == pytest.approx((100, 1090))
    assert line.get_ydata()[30] == pytest.approx(190)  # half-way on the axis is 100 synapses: 100 + 90 * 1 ms
    assert ax.get_ylabel() == "milliseconds a step"
