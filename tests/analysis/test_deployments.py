"""What `deploy` has left in a run becomes a section of its report; damaged files are told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from neurosparse.analysis.deployments import read_deployments
from neurosparse.analysis.report import write_report
from neurosparse.errors import ArtifactError

POPULATION = {
    "name": "hidden",
    "n_weights": 5,
    "lost_synapses": 2,
    "clipped_weights": 1,
    "weight_error": 0.05,
    "decay_error": 0.25,
    "saturated_states": 0,
    "spikes_float": 60,
    "spikes_integer": 40,
    "mismatches": 10,
    "voltage_error": None,
}
CONTENT = {
    "chip": {"name": "loihi9", "title": "A <new> chip"},
    "bits": 6,
    "fits": False,
    "violations": [{"text": "core.neurons: needs 3, there is 2"}],
    "accuracy": {"float": 0.9, "integer": 0.85},
    "placement": {"n_cores": 3, "lower_bound": 2},
    "quantization": {"populations": [POPULATION, {**POPULATION, "name": "output", "voltage_error": 0.01}]},
}


def _write(run: Path, content: object, name: str = "deployment_loihi9.json") -> None:
    (run / name).write_text(json.dumps(content))


def test_a_deployment_is_read_as_it_was_written(tmp_path: Path) -> None:
    _write(tmp_path, CONTENT)
    _write(tmp_path, {**CONTENT, "placement": None, "quantization": None}, "deployment_other.json")
    first, second = read_deployments(tmp_path)
    assert (first.title, first.bits, first.fits, first.cores, first.lower_bound) == ("A <new> chip", 6, False, 3, 2)
    assert first.violations == ("core.neurons: needs 3, there is 2",)
    hidden, output = first.populations
    assert hidden["agreement"] == pytest.approx(0.9)  # 10 of 60 + 40 spikes are only in one of the two
    assert output["agreement"] is None
    assert (second.cores, second.populations) == (None, ())


@pytest.mark.parametrize("content", ["{", "[]", '{"chip": {}}', json.dumps({**CONTENT, "violations": [1]})])
def test_a_damaged_deployment_is_refused_with_its_path(tmp_path: Path, content: str) -> None:
    (tmp_path / "deployment_x.json").write_text(content)
    with pytest.raises(ArtifactError, match=r"deployment_x\.json: is no deployment"):
        read_deployments(tmp_path)


@pytest.mark.usefixtures("unrendered")
def test_the_report_shows_chips_their_violations_and_figures(run: Path) -> None:
    assert 'id="chip"' not in write_report(run).read_text()
    _write(run, CONTENT)
    (run / "figures" / "cores_loihi9.png").write_bytes(b"not really a picture")
    text = write_report(run).read_text()
    for word in (
        'id="chip"',
        "A &lt;new&gt; chip",
        "core.neurons: needs 3, there is 2",
        "85.00%",
        "how full each core is.",
    ):
        assert word in text, word
    assert "<new>" not in text
