"""``neurosparse doctor``: the facts, the hints, and the exit status."""

from __future__ import annotations

from pathlib import Path

import pytest

from neurosparse.backends import sidecar
from neurosparse.backends.base import BACKENDS
from neurosparse.cli import environment

from .conftest import Invoke, lines


@pytest.fixture
def no_lava(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A place for the Lava environment where there is none, nor anywhere else."""
    monkeypatch.delenv(sidecar.LAVA_PYTHON_VARIABLE, raising=False)
    monkeypatch.setattr(sidecar, "default_location", lambda: tmp_path / ".lava")
    monkeypatch.setattr(sidecar, "_data_folder", lambda: tmp_path / "data")
    return tmp_path


def test_doctor_tells_versions_processor_compilers_and_engines(invoke: Invoke) -> None:
    result = invoke("doctor", "--json")
    assert result.exit_code == 0
    (found,) = lines(result.stdout)
    assert found["ok"] is True
    assert found["packages"]["numpy"]
    assert found["processor"]["cores"] >= 1
    assert set(found["engines"]) == set(BACKENDS)
    assert found["engines"]["reference"] is None
    assert set(found["compilers"]) == {"c++", "g++", "clang++"}


def test_doctor_shows_them_as_a_page(invoke: Invoke) -> None:
    result = invoke("doctor")
    assert result.exit_code == 0
    for word in (
        "Machine",
        "processor",
        "Packages",
        "numpy",
        "Compilers",
        "Engines",
        "reference",
        "ready",
        "Lava",
        "all well",
    ):
        assert word in result.stdout, word


def test_a_missing_engine_comes_with_what_to_do(no_lava: Path, invoke: Invoke) -> None:
    result = invoke("doctor")
    assert result.exit_code == 0  # optional: everything else works
    assert "to do: lava: " in result.stdout
    assert "doctor --setup-lava" in result.stdout
    (found,) = lines(invoke("doctor", "--json").stdout)
    assert found["lava"]["python"] is None
    assert "no complete Lava environment" in found["lava"]["problem"]


@pytest.mark.usefixtures("engines")
def test_every_missing_engine_has_its_install_line(invoke: Invoke) -> None:
    assert "to do: absent: pip install absent-engine" in invoke("doctor").stdout


def test_a_missing_necessity_is_a_failed_check(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "_version", lambda name: None if name == "torch" else "1.0")
    result = invoke("doctor")
    assert result.exit_code == 1
    assert "to do: pip install torch" in result.stdout
    assert "something necessary is missing" in result.stdout


def test_python_without_setup_lava_is_wrong_usage(invoke: Invoke) -> None:
    result = invoke("doctor", "--python", "python3.10")
    assert result.exit_code == 2
    assert "--setup-lava" in result.stderr


def test_setting_lava_up_with_what_is_no_python_3_10_is_refused(no_lava: Path, invoke: Invoke) -> None:
    result = invoke("doctor", "--setup-lava", "--python", no_lava / "absent", "--json")
    assert result.exit_code == 2
    (told,) = lines(result.stdout)
    assert told["error"]["type"] == "SidecarError"
    assert "is no usable Python 3.10" in told["error"]["message"]
    assert not (no_lava / ".lava").exists()


def test_setting_lava_up_says_where_it_is(no_lava: Path, invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(sidecar, "setup_lava", lambda python: asked.append(python) or no_lava / "bin" / "python")
    monkeypatch.setattr(sidecar, "lava_version", lambda python: "0.10.0")
    result = invoke("doctor", "--setup-lava", "--python", "/usr/local/bin/python3.10")
    assert result.exit_code == 0
    assert asked == [Path("/usr/local/bin/python3.10")]
    assert f"Lava 0.10.0 is ready: {no_lava / 'bin' / 'python'}" in result.stderr
