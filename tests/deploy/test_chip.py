"""Chip files: what ships is complete and sourced, what is wrong is refused with the name of the field."""

from __future__ import annotations

import importlib.resources
from pathlib import Path

import pytest

from neurosparse.core.hardware import hardware_paths
from neurosparse.deploy.chip import ChipSpec
from neurosparse.errors import ArtifactError, UnknownNameError, ValidationError

SHIPPED = ("loihi1", "loihi2", "speck", "xylo_audio2", "xylo_audio3")


@pytest.fixture
def text() -> str:
    """The file of Loihi 1."""
    return next(path for path in hardware_paths("loihi1.toml") if path.is_file()).read_text()


def refused(tmp_path: Path, content: str, message: str, error: type[Exception] = ValidationError) -> None:
    path = tmp_path / "chip.toml"
    path.write_text(content)
    with pytest.raises(error, match=message):
        ChipSpec.load(path)


@pytest.mark.parametrize("name", SHIPPED)
def test_every_chip_that_ships_states_its_sources(name: str) -> None:
    chip = ChipSpec.load(name)
    assert chip.name == name
    assert len(chip.limits()) >= 9
    for limit in chip.limits().values():
        assert len(chip.source_of(limit)) > 20
        assert chip.source_of(limit).startswith("estimate: ") == limit.estimate


def test_no_other_chip_ships_unnoticed() -> None:
    shipped = {path.stem for folder in hardware_paths() for path in folder.glob("*.toml")}
    assert shipped == set(SHIPPED)


def test_the_numbers_of_loihi_1_are_those_of_nengo_loihi() -> None:
    chip = ChipSpec.load("loihi1")
    assert chip.core is not None
    values = {name: getattr(chip.core, name).value for name in type(chip.core).model_fields}
    assert values == {
        "cores": 128,
        "neurons": 1024,
        "synapse_bits": 16384 * 64,
        "in_axons": 4096,
        "out_axons": 4096,
        "decay_sets": 32,
        "threshold_sets": 8,
    }
    assert not any(limit.estimate for limit in chip.limits().values())


def test_loihi_2_borrows_no_energy_and_no_time_and_labels_its_estimates() -> None:
    chip = ChipSpec.load("loihi2")
    assert chip.energy == {}
    assert chip.timing is None
    estimates = {name for name, limit in chip.limits().items() if limit.estimate}
    assert {"core.cores", "core.synapse_bits", "core.in_axons", "core.out_axons"} <= estimates
    assert "core.neurons" not in estimates


def test_a_chip_prints_how_much_of_it_is_estimated() -> None:
    assert str(ChipSpec.load("loihi2")) == "ChipSpec(Intel Loihi 2: 15 limits, 9 of them estimates)"


def test_a_chip_of_ones_own_is_a_file(tmp_path: Path, text: str) -> None:
    (tmp_path / "mine.toml").write_text(text.replace('"loihi1"', '"mine"').replace("value = 1024", "value = 512"))
    chip = ChipSpec.load(tmp_path / "mine.toml")
    assert chip.core is not None
    assert (chip.name, chip.core.neurons.value) == ("mine", 512)
    assert ChipSpec.load(str(tmp_path / "mine.toml")) == chip


def test_the_file_in_the_readme_is_a_chip(tmp_path: Path) -> None:
    readme = next(path for path in hardware_paths("README.md") if path.is_file()).read_text()
    (tmp_path / "mine.toml").write_text(readme.split("```toml")[1].split("```")[0])
    chip = ChipSpec.load(tmp_path / "mine.toml")
    assert chip.limits()["core.synapse_bits"].estimate
    assert chip.energy["datasheet"].neuron_update_pj == 50.0


def test_an_installed_package_brings_its_chips(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    (tmp_path / "neurosparse" / "_hardware").mkdir(parents=True)
    (tmp_path / "neurosparse" / "_hardware" / "loihi1.toml").write_text(text.replace("value = 1024", "value = 77"))
    monkeypatch.setattr(importlib.resources, "files", lambda package: tmp_path / package)
    chip = ChipSpec.load("loihi1")
    assert chip.core is not None
    assert chip.core.neurons.value == 77


def test_an_unknown_chip_is_told_with_its_near_miss() -> None:
    with pytest.raises(UnknownNameError, match=r"chip: 'lohii2' is not known. Did you mean 'loihi2'\?"):
        ChipSpec.load("lohii2")


def test_a_file_that_does_not_exist_or_is_no_toml_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"absent.toml: cannot be read \(No such file"):
        ChipSpec.load(tmp_path / "absent.toml")
    refused(tmp_path, "name = ", r"chip.toml: no TOML", ArtifactError)
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ArtifactError, match=r"no TOML"):
        ChipSpec.load(tmp_path / "binary.toml")
    refused(tmp_path, "#" * (1 << 20) + "\n", r"a chip file has at most 1048576 bytes", ArtifactError)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[timing]", "[timming]", r"chip.toml: timming: Extra inputs are not permitted"),
        ("neurons = {", "nuerons = {", r"core.neurons: Field required.*core.nuerons: Extra inputs"),
        ("value = 1024", 'value = "1024"', r"core.neurons.value: Input should be a valid integer, got '1024'"),
        ("value = 1024", "value = true", r"core.neurons.value: Input should be a valid integer, got 'True'"),
        ("value = 1024", "value = 0", r"core.neurons.value: .*greater than or equal to 1, got '0'"),
        ("value = 1024", "value = 9999999999", r"core.neurons.value: .*less than 2147483648"),
        ("value = 1024, source", "value = 1024, sauce", r"core.neurons.source: Field required"),
        ('value = 1024, source = "nengo_block"', 'value = 1024, source = "hearsay"', r"source 'hearsay' is not in"),
        ('kind = "cores"', 'kind = "recurrent"', r"a chip of kind 'recurrent' has \[array\]; \[core\] is not for it"),
        ('kind = "cores"', 'kind = "analog"', r"kind: Input should be 'cores', 'recurrent' or 'convolutional'"),
        ("[6, 7, 8, 9, 10, 11, 12]", "[6, 7]", r"synapses.index_bits: reach 128 neurons, a core has 1024"),
        ("[6, 7, 8, 9, 10, 11, 12]", "[12, 6]", r"index_bits: must be increasing and not empty, got \[12, 6\]"),
        ('["zero"]', '["soft"]', r"behaviour.resets.value.0: Input should be 'subtract', 'zero' or 'none'"),
        ("synaptic_operation_pj = 27.1", "synaptic_operation_pj = -1.0", r"synaptic_operation_pj: .*greater than 0"),
        ('source = "keras_spiking"', 'source = "rumour"', r"energy.davies_2018: source 'rumour' is not in"),
        ('name = "loihi1"', 'name = "../loihi1"', r"name: String should match pattern"),
    ],
)
def test_a_wrong_chip_file_is_refused_with_the_field(
    tmp_path: Path, text: str, old: str, new: str, message: str
) -> None:
    assert old in text
    refused(tmp_path, text.replace(old, new, 1), message)


def test_a_missing_section_is_named(tmp_path: Path, text: str) -> None:
    start, end = text.index("[synapses]"), text.index("[behaviour]")
    refused(tmp_path, text[:start] + text[end:], r"has \[core\] and \[synapses\]; \[synapses\] is missing")


def test_the_cores_of_a_convolutional_chip_have_two_memories_each(tmp_path: Path) -> None:
    speck = next(path for path in hardware_paths("speck.toml") if path.is_file()).read_text()
    refused(tmp_path, speck.replace("[65536, 65536, 65536, 32768", "[65536, 32768", 1), "one value per core")
