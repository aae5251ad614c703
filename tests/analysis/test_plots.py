"""Figures: what is drawn, what the axes are called, and that nothing global changes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import matplotlib
import numpy as np
import pytest
import scipy.sparse as sp

from neurosparse.analysis import plots
from neurosparse.analysis.palette import SERIES, logarithmic, new_axes, png
from neurosparse.analysis.wiring import MAX_SPARSE_IMAGE
from neurosparse.core.network import Network, Projection
from neurosparse.core.recording import Recording
from neurosparse.core.rng import stream
from neurosparse.errors import UnknownNameError, ValidationError

Metrics = list[dict[str, Any]]


def test_the_raster_has_one_bar_per_spike_and_names_populations(recording: Recording) -> None:
    ax = plots.raster(recording, sample=0)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("time (steps of 1 ms)", "neuron")
    assert [label.get_text() for label in ax.get_yticklabels()] == ["hidden\n3 neurons\n2 spikes"]
    (bars,) = ax.collections
    centres = [path.vertices[:4].mean(axis=0).round(6).tolist() for path in bars.get_paths()]
    assert centres == [[0, 0], [2, 0]]


def test_populations_of_a_raster_lie_above_each_other_in_different_colours() -> None:
    spikes = {"low": np.ones((1, 1, 4), bool), "high": np.ones((1, 1, 2), bool)}
    low, high = plots.raster(Recording(spikes)).collections
    assert max(p.vertices[:, 1].max() for p in low.get_paths()) < min(p.vertices[:, 1].min() for p in high.get_paths())
    assert not np.array_equal(low.get_facecolor(), high.get_facecolor())


def test_a_raster_without_a_spike_is_an_empty_picture() -> None:
    ax = plots.raster(Recording({"silent": np.zeros((5, 1, 3), bool)}))
    assert png(ax.figure)


def test_a_sample_that_does_not_exist_is_refused(recording: Recording) -> None:
    with pytest.raises(ValidationError, match=r"raster.sample: must lie in \[0, 2\), got 2"):
        plots.raster(recording, sample=2)


def test_a_voltage_trace_shows_the_dashed_threshold_and_a_dot_per_spike(recording: Recording) -> None:
    ax = plots.voltage_trace(recording, "hidden", [0, 1])
    assert "voltage of hidden" in ax.get_ylabel()
    labels = [line.get_label() for line in ax.lines]
    assert [label for label in labels if not label.startswith("_")] == ["neuron 0", "neuron 1", "threshold"]
    threshold = ax.lines[labels.index("threshold")]
    assert threshold.is_dashed()
    assert threshold.get_ydata()[0] == 1.0
    (dots,) = (line for line in ax.lines if line.get_marker() == "o" and len(line.get_xdata()))
    assert dots.get_xdata().tolist() == [0, 2]


def test_a_trace_needs_recorded_voltages(recording: Recording) -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'hidden'"):
        plots.voltage_trace(recording, "hiden")
    with pytest.raises(ValidationError, match=r"voltage_trace.neurons: must lie in \[0, 3\), got 3"):
        plots.voltage_trace(recording, "hidden", 3)


@pytest.mark.parametrize(
    ("label", "title"), [(0, "read as class 0, which is right"), (1, "read as class 0, which is wrong: it is a 1")]
)
def test_the_readout_says_what_it_read(recording: Recording, label: int, title: str) -> None:
    ax = plots.readout_trace(recording, "output", label=label)
    assert ax.get_title(loc="left") == title
    assert sorted(text.get_text() for text in ax.texts) == ["0", "1"]


def test_names_at_the_ends_of_readout_lines_do_not_overlap() -> None:
    voltages = {"out": np.zeros((2, 1, 10), np.float32)}  # ten lines that end at the same place
    voltages["out"][0] = np.linspace(0, 1, 10)
    ends = sorted(text.xy[1] for text in plots.readout_trace(Recording({}, voltages), "out").texts)
    assert np.diff(ends).min() == pytest.approx(0.055)


def test_the_weight_matrix_shows_every_weight_at_its_place(network: Network) -> None:
    ax = plots.weight_matrix(network.projections[0])
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("source neuron in input", "target neuron in hidden")
    assert ax.get_title(loc="left") == "5 synapses"
    np.testing.assert_array_equal(ax.images[0].get_array().filled(0), network.projections[0].to_scipy().toarray())
    assert ax.images[0].get_clim() == (-2.0, 2.0)


def test_a_large_layer_is_shown_in_bins_by_its_strongest_synapse() -> None:
    shape = (1000, 60_000)
    rows, columns, weights = np.array([3, 4, 999]), np.array([10, 149, 59_999]), np.float32([0.5, -2.0, 1.0])
    projection = Projection.from_scipy("input", "large", sp.coo_array((weights, (rows, columns)), shape=shape))
    ax = plots.weight_matrix(projection)
    image = ax.images[0].get_array()
    assert image.shape == (143, MAX_SPARSE_IMAGE)  # 7 x 400 sites per pixel
    assert (image[0, 0], image[142, 149]) == (-2.0, 1.0)  # of sites (3, 10) and (4, 149), the stronger one
    assert image.count() == 2  # the rest is no synapse, which is not a weight of 0
    assert ax.get_title(loc="left") == "3 synapses (7 x 400 sites per pixel)"


@pytest.mark.parametrize(("density", "width"), [(0.01, 150), (0.02, 150), (0.03, 400), (0.5, 400)])
def test_dots_that_would_be_too_fine_share_larger_pixels(density: float, width: int) -> None:
    matrix = np.zeros((10, 1200), np.float32)
    matrix.ravel()[: round(density * matrix.size)] = 1.0
    image = plots.weight_matrix(Projection.from_dense("a", "b", matrix)).images[0].get_array()
    assert image.shape == (10, width)


def test_a_loss_of_less_than_a_decade_has_several_numbers_at_its_axis() -> None:
    ax = plots.loss([{"epoch": 1, "loss": 1.3}, {"epoch": 2, "loss": 0.6}])
    low, high = ax.get_ylim()
    assert sum(low <= tick <= high for tick in ax.get_yticks()) >= 4


def test_silent_neurons_are_whole_ones() -> None:
    ax = plots.silent_neurons([{"epoch": 1, "silent": {"a": 2}}, {"epoch": 2, "silent": {"a": 1}}])
    assert all(tick == int(tick) for tick in ax.get_yticks())
    assert ax.get_ylim() == (0, 2.12)


def test_before_and_after_share_one_scale_and_say_how_many_sites_are_new(network: Network) -> None:
    after = network.projections[0]
    moved = after.to_scipy().toarray()
    moved[0, 0], moved[0, 1] = 0, -7.0
    before = Projection.from_dense("input", "hidden", moved)
    left, right = plots.weight_matrices(before, after)
    assert left.images[0].get_clim() == right.images[0].get_clim() == (-7.0, 7.0)
    assert left.get_title(loc="left") == "before training: 5 synapses"
    assert right.get_title(loc="left") == "after training: 5 synapses, 1 at new sites"


def test_two_different_projections_are_not_before_and_after(network: Network) -> None:
    with pytest.raises(ValidationError, match=r"before has shape \(3, 4\), after \(2, 3\)"):
        plots.weight_matrices(*network.projections)


def test_a_synapse_of_weight_zero_is_not_the_white_of_no_synapse() -> None:
    newborn = Projection.from_scipy("input", "a", sp.coo_array((np.float32([0.0]), ([0], [1])), shape=(1, 2)))
    image = plots.weight_matrix(newborn).images[0]
    absent, present = image.cmap(image.norm(image.get_array()))[0]
    assert absent.tolist() == [1, 1, 1, 1]
    assert present[:3].max() < 0.95


def test_an_empty_projection_can_be_drawn() -> None:
    empty = Projection.from_dense("input", "none", np.zeros((3, 2), np.float32))
    assert plots.weight_matrix(empty).get_title(loc="left") == "0 synapses"
    assert plots.degree_histogram(empty).get_ylabel() == "neurons"


@pytest.mark.parametrize(
    ("direction", "neurons", "x"),
    [("in", [0, 1, 2], "synapses into a neuron of hidden"), ("out", [1, 1, 2], "synapses out of a neuron of input")],
)
def test_the_degree_histogram_counts_neurons_by_synapses(
    network: Network, direction: Any, neurons: list[int], x: str
) -> None:
    ax = plots.degree_histogram(network.projections[0], direction)
    values, edges, _ = ax.patches[0].get_data()
    assert values.tolist() == neurons
    assert edges.tolist() == [-0.5, 0.5, 1.5, 2.5]
    assert (ax.get_xlabel(), ax.get_ylabel()) == (x, "neurons")


def test_no_neuron_is_lost_from_a_wide_histogram() -> None:
    rng = stream(0, "degrees")
    matrix = sp.coo_array((rng.random((30, 500)) < rng.random((30, 1))).astype(np.float32))
    values, _, _ = plots.degree_histogram(Projection.from_scipy("input", "wide", matrix)).patches[0].get_data()
    assert values.sum() == 30
    assert len(values) <= 40


def test_the_input_map_shows_synapses_per_pixel(network: Network) -> None:
    ax = plots.input_map(network.projections[0], (2, 2))
    assert ax.images[0].get_array().tolist() == [[2, 0], [1, 2]]
    with pytest.raises(ValidationError, match="2 x 3 pixels, the projection has 4 sources"):
        plots.input_map(network.projections[0], (2, 3))


def test_training_curves_show_percent_and_loss(metrics: Metrics) -> None:
    accuracy, loss = plots.training_curves(metrics)
    assert (accuracy.get_xlabel(), accuracy.get_ylabel(), loss.get_ylabel()) == ("epoch", "accuracy (%)", "loss")
    assert [line.get_label() for line in accuracy.lines] == ["training", "validation"]
    np.testing.assert_allclose(accuracy.lines[1].get_ydata(), [50, 60, 70])
    np.testing.assert_allclose(loss.lines[0].get_ydata(), [2, 1, 2 / 3])


def test_turnover_is_in_percent_of_the_live_synapses(metrics: Metrics) -> None:
    turnover, density = plots.turnover_and_density(metrics, {"hidden": 12, "output": 6})
    np.testing.assert_allclose(turnover.lines[0].get_ydata(), [300 / 7, 200 / 7, 100 / 7])
    assert [line.get_label() for line in turnover.lines] == ["births and deaths"]
    lines = {line.get_label(): line.get_ydata()[0] for line in density.lines}
    assert lines == pytest.approx({"hidden": 500 / 12, "output": 200 / 6, "whole network": 700 / 18})


def test_births_that_are_not_deaths_are_a_line_of_their_own(metrics: Metrics) -> None:
    metrics[0]["births"] = 0
    assert [line.get_label() for line in plots.turnover(metrics).lines] == ["deaths", "births"]


def test_rates_and_silent_neurons_can_be_limited_to_spiking_populations(metrics: Metrics) -> None:
    assert [line.get_label() for line in plots.firing_rates(metrics, ["hidden"]).lines] == ["hidden"]
    assert [line.get_label() for line in plots.silent_neurons(metrics).lines] == ["hidden", "output"]


@pytest.mark.parametrize("draw", [plots.accuracy, plots.loss, plots.turnover, plots.density, plots.firing_rates])
def test_rows_that_lack_a_number_are_drawn_without_it(draw: Callable[..., Any]) -> None:
    assert draw([{"epoch": 1}, {"epoch": 2}]).get_xlabel() == "epoch"


@pytest.mark.parametrize("draw", [plots.accuracy, plots.loss, plots.turnover, plots.density, plots.silent_neurons])
def test_a_curve_goes_into_the_axes_it_is_given(draw: Callable[..., Any], metrics: Metrics) -> None:
    ax = new_axes(None)
    assert draw(metrics, ax=ax) is ax


def test_the_overview_shows_wiring_accuracy_and_spikes(
    network: Network, metrics: Metrics, recording: Recording
) -> None:
    axes = plots.overview(network.projections[0], network.projections[0], metrics, recording)
    assert [ax.get_ylabel() for ax in axes] == ["target neuron in hidden"] * 2 + ["accuracy (%)", "neuron"]
    assert len({id(ax.figure) for ax in axes}) == 1


def test_a_logarithmic_axis_has_plain_numbers() -> None:
    ax = new_axes(None)
    ax.plot([1, 2], [0.02, 3_000_000])
    logarithmic(ax, "x", [1, 2])
    logarithmic(ax, "y")
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    assert [label.get_text() for label in ax.get_xticklabels()] == ["1", "2"]
    assert not len(ax.xaxis.get_minorticklocs())
    named = [ax.yaxis.get_major_formatter()(value) for value in (0.02, 500, 2000, 50_000, 3_000_000)]
    assert named == ["0.02", "500", "2 000", "50k", "3M"]


def test_engines_are_compared_by_milliseconds_per_sample() -> None:
    ax = plots.engine_speeds({"reference": 0.2, "brian2": 4.0}, {"reference": 100, "brian2": 200})
    assert [label.get_text() for label in ax.get_yticklabels()] == ["brian2", "reference"]
    assert [text.get_text() for text in ax.texts] == ["20 ms", "2 ms"]
    ends = [bar.get_x() + bar.get_width() for bar in ax.patches]
    assert ends == pytest.approx([20, 2])


def test_time_and_memory_of_every_epoch(metrics: Metrics) -> None:
    (line,) = plots.epoch_seconds(metrics).lines
    assert line.get_ydata().tolist() == [1.5] * 3
    (line,) = plots.epoch_memory([{"epoch": 1}, *metrics[1:]]).lines
    assert (line.get_xdata().tolist(), line.get_ydata().tolist()) == ([2, 3], [102, 103])


def test_the_same_figure_has_the_same_bytes(metrics: Metrics) -> None:
    first, second = (png(plots.accuracy(metrics).figure) for _ in range(2))
    assert first == second
    assert b"Software" not in first


def test_the_palette_keeps_its_colours_apart_in_grey() -> None:
    def lightness(colour: str) -> float:
        channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return 116 * float(np.dot([0.2126, 0.7152, 0.0722], linear)) ** (1 / 3) - 16

    values = sorted(lightness(colour) for colour in SERIES)
    assert np.diff(values).min() > 12
    assert values[-1] < 80  # still visible on white


def test_drawing_leaves_matplotlib_as_it_was(metrics: Metrics, recording: Recording) -> None:
    before = dict(matplotlib.rcParams)
    png(plots.raster(recording).figure)
    png(plots.loss(metrics).figure)
    assert dict(matplotlib.rcParams) == before


def test_importing_the_plots_loads_no_matplotlib_and_drawing_no_pyplot() -> None:
    code = (
        "import sys; from neurosparse.analysis import plots; assert 'matplotlib' not in sys.modules; "
        "plots.accuracy([{'epoch': 1, 'train_accuracy': 0.5}]); assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
