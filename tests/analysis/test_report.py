"""The page about a run: everything that is there, nothing that is not, and nothing from elsewhere."""

from __future__ import annotations

import dataclasses
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from neurosparse.analysis.comparison import Simulation, read_simulations, write_simulations
from neurosparse.analysis.report import Example, write_report
from neurosparse.core.network import Network
from neurosparse.core.recording import Recording
from neurosparse.errors import ArtifactError, ValidationError

SECTIONS = ["summary", "engines", "training", "rewiring", "activity", "wiring", "network", "neurobench", "config"]


def _sections(page: Path) -> list[str]:
    return re.findall(r'<h2 id="(\w+)">', page.read_text())


class _Balanced(HTMLParser):
    """Collects tags that are closed without being open, or never closed."""

    VOID = ("meta", "img", "br", "link")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.wrong: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)


@pytest.fixture
def example(recording: Recording, inputs: np.ndarray) -> Example:
    return Example(recording, inputs, np.array([0, 1]))


def test_a_complete_run_has_every_section_and_every_figure(run: Path, example: Example) -> None:
    page = write_report(run, example=example, image_shape=(2, 2))
    assert page == run / "report.html"
    assert _sections(page) == SECTIONS
    figures = {path.stem for path in (run / "figures").glob("*.png")}
    figures.remove("overview")  # all in one, for a README; not in the page
    assert figures == {
        "accuracy",
        "loss",
        "turnover",
        "density",
        "firing_rates",
        "silent_neurons",
        "raster",
        "readout",
        "voltage_hidden",
        *(f"weights_{name}_{when}" for name in ("input_to_hidden", "hidden_to_output") for when in ("before", "after")),
        "pixels_input_to_hidden_before",
        "pixels_input_to_hidden_after",
        "fan_in_input_to_hidden",
        "fan_in_hidden_to_output",
        "weight_histogram_input_to_hidden",
        "weight_histogram_hidden_to_output",
    }
    assert page.read_text().count("<img ") == len(figures)


def test_snapshots_become_an_animation_of_what_has_rewired_most(run: Path, example: Example) -> None:
    after, before = (Network.load(run / name) for name in ("network.safetensors", "initial_network.safetensors"))
    assert "rewiring.gif" not in write_report(run, example=example).read_text()
    before.save(run / "snapshots" / "0001.safetensors")
    after.save(run / "snapshots" / "0003.safetensors")
    page = write_report(run, example=example).read_text()
    assert "The synapses from input to hidden while they rewire." in page
    assert "data:image/gif;base64," in page
    from PIL import Image

    with Image.open(run / "figures" / "rewiring.gif") as animation:
        assert animation.n_frames == 3


def test_the_summary_counts_what_the_run_is(run: Path, example: Example) -> None:
    text = write_report(run, example=example).read_text().replace("\u202f", " ")
    for value in (
        "50.00% of 2 samples",
        "70.00% (best 70.00%, epoch 3)",
        "4-3-2",
        "7 of 18 possible: density 38.89%",
        "3 steps, 2 spikes, 6 synaptic operations (mean of 2)",
        "3 epochs, 4.5 s, at most 103 MB",
        "after training: 1 synapses at new sites",
    ):
        assert value in text, value


def test_the_engine_table_says_who_agrees_and_how_to_get_who_is_missing(run: Path) -> None:
    text = write_report(run).read_text()
    assert "✓ identical, voltages too" in text
    assert "not run: run `neurosparse doctor --setup-lava`" in text
    write_simulations(
        run, [Simulation("brian2", 2, 3, 0.5, 4, 1.0, False, {}, "first difference: population 'hidden'")]
    )
    text = write_report(run).read_text()
    assert "✗ different\nfirst difference: population &#39;hidden&#39;" in text
    assert "identical, voltages too" not in text


@pytest.mark.parametrize(
    ("missing", "gone"),
    [
        ("simulations.json", ["engines"]),
        ("metrics.jsonl", ["training", "rewiring"]),
        ("config.toml", ["config"]),
        ("initial_network.safetensors", []),
        ("network.safetensors", ["engines", "wiring", "network", "neurobench"]),
    ],
)
def test_what_is_missing_is_left_out(run: Path, example: Example, missing: str, gone: list[str]) -> None:
    (run / missing).unlink()
    page = write_report(run, example=example)
    assert _sections(page) == [name for name in SECTIONS if name not in gone]


def test_without_an_example_there_is_no_raster(run: Path) -> None:
    text = write_report(run).read_text()
    assert not (run / "figures" / "raster.png").exists()
    assert "synaptic operations" not in text


def test_the_page_is_well_formed_and_needs_nothing_from_elsewhere(run: Path, example: Example) -> None:
    text = write_report(run, example=example).read_text()
    parser = _Balanced()
    parser.feed(text)
    assert (parser.open, parser.wrong) == ([], [])
    without_figures = re.sub(r'"data:image/png;base64,[^"]*"', '""', text)
    assert not re.search(r"https?:|//|<script|<link|@import|url\(", without_figures)
    assert 'name="viewport"' in text


def test_what_a_file_says_is_text_and_never_markup(run: Path) -> None:
    text = write_report(run, title="<script>alert(1)</script>").read_text()
    assert "<script>" not in text
    assert "<b>digits</b>" not in text
    assert "&lt;b&gt;digits&lt;/b&gt;" in text


def test_the_same_run_gives_the_same_bytes(run: Path, example: Example) -> None:
    first = write_report(run, example=example).read_bytes()
    assert write_report(run, example=example).read_bytes() == first


def test_nothing_to_report_says_how_to_make_a_run(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="neurosparse train CONFIG --out"):
        write_report(tmp_path / "absent")
    with pytest.raises(ArtifactError, match=r"neither network\.safetensors nor metrics\.jsonl"):
        write_report(tmp_path)


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("metrics.jsonl", '{"epoch": 1}\n{"epo', "line 2 is not JSON"),
        ("metrics.jsonl", "[1]\n", "line 1 is no epoch's metrics"),
        ("simulations.json", "{}", "remove the file and simulate again"),
        ("simulations.json", '{"network_sha256": "", "simulations": [{"backend": 1}]}', "simulations.0.backend"),
        ("network.safetensors", "nonsense", "damaged, truncated or not a safetensors file"),
    ],
)
def test_a_damaged_file_is_named(run: Path, file: str, content: str, message: str) -> None:
    (run / file).write_text(content)
    with pytest.raises((ArtifactError, ValidationError), match=re.escape(message)):
        write_report(run)


def test_simulations_are_kept_and_replaced_by_engine(tmp_path: Path) -> None:
    write_simulations(tmp_path, [Simulation("reference", 5), Simulation("brian2", 5, seconds=1.0)])
    write_simulations(tmp_path, [Simulation("brian2", 9, seconds=2.0)])
    assert [(row.backend, row.samples) for row in read_simulations(tmp_path)] == [("reference", 5), ("brian2", 9)]


def test_simulations_of_another_network_are_not_shown(run: Path, network: Network) -> None:
    assert len(read_simulations(run)) == 3
    dataclasses.replace(network, dt=2e-3).save(run / "network.safetensors")
    assert read_simulations(run) == []
    write_simulations(run, [Simulation("reference", 2)])
    assert [row.backend for row in read_simulations(run)] == ["reference"]
