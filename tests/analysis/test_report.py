"""The page about a run: everything that is there, nothing that is not, and nothing from elsewhere."""

from __future__ import annotations

import dataclasses
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neurosparse.analysis.comparison import Simulation, read_simulations, write_simulations
from neurosparse.analysis.rasters import write_rasters
from neurosparse.analysis.report import Example, write_report
from neurosparse.core.network import Network
from neurosparse.core.recording import Recording
from neurosparse.errors import ArtifactError, ValidationError

SECTIONS = [
    "summary",
    "engines",
    "training",
    "rewiring",
    "activity",
    "wiring",
    "network",
    "costs",
    "neurobench",
    "config",
]


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
        "visited_sites",
        "lifetimes",
        "ages",
        "overlay_hidden",
        "engine_speeds",
        "epoch_seconds",
        "epoch_memory",
        "firing_rates",
        "silent_neurons",
        "raster",
        "readout",
        "voltage_hidden",
        *(f"weights_{name}_{when}" for name in ("input_to_hidden", "hidden_to_output") for when in ("before", "after")),
        "pixels_input_to_hidden_before",
        "pixels_input_to_hidden_after",
        *(f"fan_{way}_{name}" for name in ("input_to_hidden", "hidden_to_output") for way in ("in", "out")),
        "weight_histogram_input_to_hidden",
        "weight_histogram_hidden_to_output",
    }
    assert page.read_text().count("<img ") == len(figures)


@pytest.mark.usefixtures("unrendered")
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


@pytest.mark.usefixtures("unrendered")
def test_the_summary_counts_what_the_run_is(run: Path, example: Example) -> None:
    text = write_report(run, example=example).read_text().replace("\u202f", " ")
    for value in (
        "50.00% of 2 samples",
        "70.00% (best 70.00%, epoch 3)",
        "4-3-2",
        "7 of 18 possible: density 38.89%",
        "3 steps, 2 spikes, 6 synaptic operations (mean of 2)",
        "3 epochs, 4.5 s",
        "at most 103 MiB, libraries and data included",
        "1.50 s per epoch (median, validation included), 4.5 s in all",
        "0 / 1.2 / 2, 1 with none",
        "after training: 1 synapses at new sites",
    ):
        assert value in text, value


@pytest.mark.usefixtures("unrendered")
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


@pytest.mark.usefixtures("unrendered")
@pytest.mark.parametrize(
    ("missing", "gone"),
    [
        ("simulations.json", []),
        ("rasters.safetensors", []),
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


@pytest.mark.usefixtures("unrendered")
def test_engines_that_were_never_run_are_no_section(run: Path) -> None:
    for name in ("simulations.json", "rasters.safetensors"):
        (run / name).unlink()
    assert "engines" not in _sections(write_report(run))


@pytest.mark.usefixtures("unrendered")
def test_a_run_that_did_not_count_lifetimes_has_none(run: Path, metrics: list[dict[str, Any]]) -> None:
    for row in metrics:  # as the methods that hold a dense matrix write them, and runs before there were histories
        row["history"] = {}
    (run / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in metrics))
    text = write_report(run).read_text()
    assert "Turnover: synapses that died" in text
    assert "Sites ever visited" not in text
    assert not (run / "figures" / "lifetimes.png").exists()


@pytest.mark.usefixtures("unrendered")
def test_the_rewiring_table_says_what_became_of_the_synapses(run: Path) -> None:
    text = write_report(run).read_text()
    # 3 lived one step, 1 two, 3 four: 17 steps by 7; 8 of 12 sites, give or take 0.25
    row = text[text.index('<tr><th scope="row">hidden</th><td class="number" data-label="died">') :].split("</tr>")[0]
    for cell in (">7<", ">2.4<", ">42.86%<", ">66.67% ± 2.08<"):
        assert cell in row, cell
    assert "none died" in text


@pytest.mark.usefixtures("unrendered")
def test_the_state_of_the_training_is_told_by_what_holds_it(run: Path) -> None:
    text = write_report(run, training_state={"network": 2000, "optimizer": 1000, "rewiring": 0}).read_text()
    assert "3\u202f000: network 2\u202f000, optimizer 1\u202f000<" in text


@pytest.mark.usefixtures("unrendered")
def test_the_overlay_says_whether_every_spike_is_the_same(run: Path, recording: Recording, inputs: np.ndarray) -> None:
    assert "Of the 2 spikes of all 3 neurons, every one is the same in every engine." in write_report(run).read_text()
    spikes = {name: raster.copy() for name, raster in recording.spikes.items()}
    spikes["hidden"][1, 0, :2] = True
    write_rasters(run, [Recording(spikes, backend="brian2")], inputs, 0)
    assert "brian2 differs in 2 (circled where shown)" in write_report(run).read_text()


@pytest.mark.usefixtures("unrendered")
def test_without_an_example_there_is_no_raster(run: Path) -> None:
    text = write_report(run).read_text()
    assert not (run / "figures" / "raster.png").exists()
    assert "synaptic operations" not in text


@pytest.mark.usefixtures("unrendered")
def test_the_page_is_well_formed_and_needs_nothing_from_elsewhere(run: Path, example: Example) -> None:
    text = write_report(run, example=example).read_text()
    parser = _Balanced()
    parser.feed(text)
    assert (parser.open, parser.wrong) == ([], [])
    without_figures = re.sub(r'"data:image/png;base64,[^"]*"', '""', text)
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    assert f'<meta http-equiv="Content-Security-Policy" content="{policy}">' in text
    assert without_figures.count("data:") == 1  # in the policy
    assert not re.search(r"https?:|//|<script|<link|@import|url\(", without_figures)
    assert 'name="viewport"' in text


@pytest.mark.usefixtures("unrendered")
def test_what_a_file_says_is_text_and_never_markup(run: Path) -> None:
    text = write_report(run, title="<script>alert(1)</script>").read_text()
    assert "<script>" not in text
    assert "<b>digits</b>" not in text
    assert "&lt;b&gt;digits&lt;/b&gt;" in text


@pytest.mark.usefixtures("unrendered")  # that figures are the same bytes is tested with them
def test_the_same_run_gives_the_same_bytes(run: Path, example: Example) -> None:
    first = write_report(run, example=example).read_bytes()
    assert write_report(run, example=example).read_bytes() == first


@pytest.mark.usefixtures("unrendered")
def test_nothing_to_report_says_how_to_make_a_run(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="neurosparse train CONFIG --out"):
        write_report(tmp_path / "absent")
    with pytest.raises(ArtifactError, match=r"neither network\.safetensors nor metrics\.jsonl"):
        write_report(tmp_path)


@pytest.mark.usefixtures("unrendered")
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


@pytest.mark.usefixtures("unrendered")
def test_simulations_are_kept_and_replaced_by_engine(tmp_path: Path) -> None:
    write_simulations(tmp_path, [Simulation("reference", 5), Simulation("brian2", 5, seconds=1.0)])
    write_simulations(tmp_path, [Simulation("brian2", 9, seconds=2.0)])
    assert [(row.backend, row.samples) for row in read_simulations(tmp_path)] == [("reference", 5), ("brian2", 9)]


@pytest.mark.usefixtures("unrendered")
def test_simulations_of_another_network_are_not_shown(run: Path, network: Network) -> None:
    assert len(read_simulations(run)) == 3
    dataclasses.replace(network, dt=2e-3).save(run / "network.safetensors")
    assert read_simulations(run) == []
    write_simulations(run, [Simulation("reference", 2)])
    assert [row.backend for row in read_simulations(run)] == ["reference"]
