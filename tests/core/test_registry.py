"""Registries: nothing is imported before it is asked for; installed packages can add names."""

import sys

import pytest

from neurosparse.backends.base import BACKENDS
from neurosparse.core.registry import Registry
from neurosparse.errors import UnknownNameError

PLUGIN = """
class Engine:
    name = "neuro9000"
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    """An importable module that no test has imported yet."""
    (tmp_path / "lazy_part.py").write_text("class Thing:\n    pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield "lazy_part"
    sys.modules.pop("lazy_part", None)


@pytest.fixture
def distribution(tmp_path, monkeypatch):
    """An installed third-party package with an entry point in the group of backends, and one that shadows ours."""
    (tmp_path / "neuro_plugin.py").write_text(PLUGIN)
    info = tmp_path / "neuro_plugin-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: neuro-plugin\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[neurosparse.backends]\nneuro9000 = neuro_plugin:Engine\nreference = neuro_plugin:Engine\n"
        "[neurosparse.methods]\nother = neuro_plugin:Engine\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop("neuro_plugin", None)


def test_a_name_is_imported_when_it_is_asked_for_and_not_before(module):
    registry = Registry("things", {"thing": f"{module}:Thing"})
    assert "thing" in registry
    assert registry.names() == ["thing"]
    assert module not in sys.modules
    assert registry.get("thing").__name__ == "Thing"
    assert module in sys.modules


def test_names_keep_the_order_of_registration():
    registry = Registry("things", {"b": "m:B", "a": "m:A", "c": "m:C"})
    assert list(registry) == registry.names() == ["b", "a", "c"]


def test_an_unknown_name_gets_the_near_miss():
    with pytest.raises(
        UnknownNameError, match=r"backends: 'refrence' is not known. Did you mean 'reference'\? Known: brian2,"
    ):
        BACKENDS.get("refrence")
    assert "refrence" not in BACKENDS


def test_changing_the_mapping_later_changes_nothing():
    entries = {"a": "m:A"}
    registry = Registry("things", entries)
    entries["b"] = "m:B"
    assert registry.names() == ["a"]


def test_installed_packages_add_names_and_cannot_replace_ours(distribution):
    registry = Registry("backends", {"reference": "neurosparse.backends.reference:Reference"})
    assert registry.names() == ["reference", "neuro9000"]
    assert "neuro9000" in registry
    assert "neuro_plugin" not in sys.modules
    assert registry.get("neuro9000").name == "neuro9000"
    assert registry.get("reference").__module__ == "neurosparse.backends.reference"


def test_entry_points_of_another_group_are_not_ours(distribution):
    assert Registry("backends", {}).names() == ["neuro9000", "reference"]
    assert Registry("methods", {}).names() == ["other"]
    assert Registry("datasets", {}).names() == []


def test_a_plug_in_appears_in_the_list_of_known_names(distribution):
    with pytest.raises(UnknownNameError, match=r"Did you mean 'neuro9000'\? Known: neuro9000, reference"):
        Registry("backends", {}).get("neuro900")
