"""Figures of placements and of energy models: what is drawn, and that a model is called one."""

from __future__ import annotations

import numpy as np
import pytest

from neurosparse.analysis import plots
from neurosparse.analysis.costs import joules
from neurosparse.analysis.occupancy import MAX_NUMBERS
from neurosparse.analysis.palette import png
from neurosparse.core.network import Input, Network, Population, Projection
from neurosparse.core.neurons import LIF
from neurosparse.core.recording import Recording
from neurosparse.deploy.chip import ChipSpec
from neurosparse.deploy.energy import energy
from neurosparse.deploy.placement import place
from neurosparse.deploy.utilization import Utilization


def network(n: int) -> Network:
    """One input, `n` neurons and an output neuron for all of them."""
    into = Projection.from_dense("input", "hidden", np.ones((n, 1), np.float32))
    out = Projection.from_dense("hidden", "output", np.ones((1, n), np.float32))
    populations = [Population("hidden", n, LIF(reset="zero")), Population("output", 1, LIF(reset="zero"))]
    return Network(Input(1), populations, [into, out])


def used(n: int, chip: str = "loihi1", *, strict: bool = True) -> Utilization:
    return place(network(n), ChipSpec.load(chip), strict=strict).utilization()


def test_the_map_has_a_square_per_core_and_resource_with_its_share() -> None:
    use = used(1500)
    contents, shares = plots.core_occupancy(use)
    assert shares.images[0].get_array().shape == (6, 2)
    assert shares.images[0].get_array()[0].tolist() == [1.0, 477 / 1024]
    assert {"100%", "47%"} <= {text.get_text() for text in shares.texts}
    assert [label.get_text() for label in shares.get_yticklabels()][:2] == ["neurons", "synapse memory"]
    assert contents.get_title(loc="left") == "Intel Loihi 1: 2 cores, at least 2 needed"
    assert contents.get_xlim() == shares.get_xlim()
    assert png(contents.figure) == png(plots.core_occupancy(use)[0].figure)


def test_cores_show_how_many_neurons_of_each_population_they_hold() -> None:
    ax = plots.core_contents(used(1500))
    heights = [[bar.get_height() for bar in bars] for bars in ax.containers]
    assert heights == [[1024, 476], [0, 1]]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["hidden", "output"]
    assert not ax.lines
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("core", "neurons")


def test_estimated_limits_carry_a_star_and_official_ones_none() -> None:
    labels = [label.get_text() for label in plots.occupancy_map(used(5, "loihi2")).get_yticklabels()]
    assert labels == ["neurons", "synapse memory*", "axons in*", "axons out*"]
    official = plots.occupancy_map(used(5))
    assert not any("*" in label.get_text() for label in official.get_yticklabels())
    assert not any("estimated" in text.get_text() for text in official.texts)


def test_many_cores_are_told_by_colour_only() -> None:
    ax = plots.occupancy_map(used(1024 * MAX_NUMBERS + 1, strict=False))
    assert ax.images[0].get_array().shape[1] > MAX_NUMBERS
    assert not ax.texts


def test_where_the_cores_end_is_marked() -> None:
    use = used(1024 * 129, strict=False)  # of 128 cores
    ax = plots.core_contents(use)
    assert [line.get_xdata()[0] for line in ax.lines] == [127.5]
    assert ax.texts[0].get_text().strip() == "beyond the 128 cores there are"


def test_what_exceeds_a_limit_has_a_colour_of_its_own() -> None:
    use = used(5000, strict=False)  # the output neuron has 5000 sources, a core 4096 axons
    assert max(core.usage["in_axons"] for core in use.cores) == 5000
    ax = plots.occupancy_map(use)
    image = ax.images[0]
    over = image.cmap.get_over()
    assert image.cmap(image.norm(5000 / 4096)).__len__() == 4
    np.testing.assert_allclose(image.cmap(image.norm(np.array([1.2])))[0], over)
    assert "122%" in {text.get_text() for text in ax.texts}


@pytest.mark.parametrize(("chip", "bars"), [("loihi1", 10), ("loihi2", 6)])
def test_the_energy_figure_says_model_and_draws_no_bar_without_a_public_figure(chip: str, bars: int) -> None:
    spec, net = ChipSpec.load(chip), network(4)
    recording = Recording({"hidden": np.ones((2, 1, 4), bool), "output": np.zeros((2, 1, 1), bool)})
    ax = plots.energy_comparison(energy(net, recording, np.ones((2, 1, 1), bool), chip=spec))
    assert len(ax.patches) == bars
    assert ax.get_title(loc="left").startswith("Model, not a measurement")
    assert "model" in ax.get_xlabel()
    said = " ".join(text.get_text() for text in ax.texts)
    assert ("Intel Loihi 2: no public figure  16 synaptic operations" in said) == (chip == "loihi2")
    assert png(ax.figure)


def test_energies_are_written_with_their_unit() -> None:
    assert [joules(x) for x in (0.0005, 1.0, 1500.0, 2.5e6)] == ["0.5 pJ", "1 nJ", "1.5 µJ", "2.5 mJ"]
