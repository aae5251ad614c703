"""Finding a Python 3.10 and making the Lava environment, with interpreters that are shell scripts (no Lava needed)."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path

import pytest

from neurosparse.backends import sidecar
from neurosparse.errors import SidecarError

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the sidecar needs process groups")
on_python310 = pytest.mark.skipif(sys.version_info[:2] == (3, 10), reason="the running interpreter is a Python 3.10")


def script(path: Path, body: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


GOOD = "echo python.3.10"


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine with an empty PATH, home and environment."""
    for variable in (sidecar.PYTHON310_VARIABLE, sidecar.LAVA_PYTHON_VARIABLE, "PYENV_ROOT", "XDG_DATA_HOME"):
        monkeypatch.delenv(variable, raising=False)
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(sidecar, "_is_own_sidecar", lambda: False)
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "project" / ".venv"))
    return tmp_path


@on_python310
def test_a_python310_on_path_is_found(machine):
    good = script(machine / "bin" / "python3.10", GOOD)
    assert sidecar.find_python310() == good


@on_python310
def test_a_shim_that_does_not_start_is_passed_over_for_the_newest_pyenv_version(machine):
    script(machine / "bin" / "python3.10", "echo 'pyenv: python3.10: command not found' >&2; exit 127")
    script(machine / "home/.pyenv/versions/3.10.9/bin/python", GOOD)
    newest = script(machine / "home/.pyenv/versions/3.10.13/bin/python", GOOD)
    script(machine / "home/.pyenv/versions/3.11.7/bin/python", GOOD)
    assert sidecar.find_python310() == newest


@on_python310
def test_pyenv_is_also_looked_for_where_its_variable_says(machine, monkeypatch):
    monkeypatch.setenv("PYENV_ROOT", str(machine / "elsewhere"))
    good = script(machine / "elsewhere/versions/3.10.1/bin/python", GOOD)
    assert sidecar.find_python310() == good


@on_python310
def test_uv_is_asked_last(machine):
    good = script(machine / "uv-python", GOOD)
    script(machine / "bin" / "uv", f'[ "$*" = "python find --no-project 3.10" ] && echo {good}')
    assert sidecar.find_python310() == good


@on_python310
def test_without_any_python310_everything_tried_is_listed_with_its_reason(machine):
    script(machine / "bin" / "python3.10", "echo 'pyenv: version missing' >&2; exit 127")
    script(machine / "home/.pyenv/versions/3.10.2/bin/python", "echo python.3.12")
    with pytest.raises(SidecarError, match=r"(?s)Python 3.10: Lava runs on no other version") as caught:
        sidecar.find_python310()
    message = str(caught.value)
    assert "python3.10 on PATH" in message
    assert "failed with exit status 127" in message
    assert "(pyenv: version missing)" in message
    assert "it is python 3.12" in message
    assert "uv python find 3.10: not found" in message
    assert "NEUROSPARSE_PYTHON310" in message


def test_an_explicit_interpreter_must_work_itself(machine):
    script(machine / "bin" / "python3.10", GOOD)
    wrong = script(machine / "other", "echo python.3.11")
    with pytest.raises(SidecarError, match=r"python: .*other is no usable Python 3.10: it is python 3.11"):
        sidecar.find_python310(wrong)
    with pytest.raises(SidecarError, match=r"no usable Python 3.10: it: could not be started"):
        sidecar.find_python310(machine / "absent")


def test_the_environment_variable_names_an_interpreter(machine, monkeypatch):
    good = script(machine / "mine", GOOD)
    monkeypatch.setenv(sidecar.PYTHON310_VARIABLE, str(good))
    assert sidecar.find_python310() == good
    monkeypatch.setenv(sidecar.PYTHON310_VARIABLE, str(script(machine / "broken", "exit 1")))
    with pytest.raises(SidecarError, match=r"NEUROSPARSE_PYTHON310: .*broken is no usable Python 3.10"):
        sidecar.find_python310()


# ---- making the environment: a base interpreter whose "venv" writes an interpreter that logs what it is asked to do

VENV_PYTHON = """\
echo "$*" >> {log}
case "$*" in
  *"pip install"*) {pip} ;;
  *lava*) echo 'lava-nc 0.10.0' ;;
esac
"""


def fake_base(machine: Path, *, pip: str = "true") -> Path:
    template = script(machine / "venv-python", VENV_PYTHON.format(log=machine / "log", pip=pip))
    return script(
        machine / "base",
        f"""\
case "$*" in
  *"-m venv"*)
    for place in "$@"; do :; done
    echo "venv $place" >> {machine / "log"}
    /bin/rm -rf "$place" && /bin/mkdir -p "$place/bin"
    /bin/cp {template} "$place/bin/python"
    echo home > "$place/pyvenv.cfg" ;;
  *) {GOOD} ;;
esac""",
    )


def log(machine: Path) -> list[str]:
    return (machine / "log").read_text().splitlines() if (machine / "log").exists() else []


def test_setup_makes_the_environment_installs_the_lock_and_tries_lava(machine):
    python = sidecar.setup_lava(fake_base(machine))
    place = machine / "project" / ".lava"
    assert python == place / "bin" / "python"
    made, installed, tried = log(machine)
    assert made == f"venv {place}"
    assert "--no-deps --only-binary :all: --requirement" in installed
    assert str(sidecar.lock_file()) in installed
    assert "import lava" in tried
    assert json.loads((place / sidecar.MARKER).read_text())["lava"] == "0.10.0"
    assert sidecar.lava_python() == python


def test_a_second_setup_starts_nothing(machine):
    base = fake_base(machine)
    first = sidecar.setup_lava(base)
    before = log(machine)
    assert sidecar.setup_lava(base) == first
    assert sidecar.setup_lava("/nonexistent/python") == first
    assert log(machine) == before


def test_a_half_made_environment_is_not_used_and_rebuilt(machine):
    base = fake_base(machine)
    python = sidecar.setup_lava(base)
    (python.parents[1] / sidecar.MARKER).unlink()  # as an interrupted installation leaves it
    with pytest.raises(SidecarError, match="no complete Lava environment in"):
        sidecar.lava_python()
    assert sidecar.setup_lava(base) == python
    assert sum(line.startswith("venv") for line in log(machine)) == 2
    assert sidecar.lava_python() == python


@pytest.mark.parametrize("content", ["", "[]", "{", '{"lock_sha256": "of another release"}'])
def test_an_environment_with_a_damaged_or_outdated_marker_counts_as_incomplete(machine, content):
    python = sidecar.setup_lava(fake_base(machine))
    (python.parents[1] / sidecar.MARKER).write_text(content)
    with pytest.raises(SidecarError, match="no complete Lava environment in"):
        sidecar.lava_python()


def test_an_environment_whose_base_python_is_gone_is_rebuilt(machine):
    base = fake_base(machine)
    python = sidecar.setup_lava(base)
    python.unlink()
    python.symlink_to(machine / "removed")
    assert sidecar.setup_lava(base) == python
    assert not python.is_symlink()


def test_a_failed_installation_carries_pips_output_and_leaves_nothing(machine):
    base = fake_base(machine, pip="echo 'ERROR: no matching distribution'; exit 1")
    with pytest.raises(SidecarError, match=r"(?s)installing requirements.txt .*ERROR: no matching distribution"):
        sidecar.setup_lava(base)
    assert not (machine / "project" / ".lava").exists()


def test_a_folder_that_is_no_environment_is_never_cleared(machine):
    place = machine / "thesis"
    place.mkdir()
    (place / "chapter1.tex").write_text("words")
    with pytest.raises(SidecarError, match=r"location: .*thesis exists and is no virtual environment"):
        sidecar.setup_lava(fake_base(machine), location=place)
    assert (place / "chapter1.tex").read_text() == "words"


def test_outside_a_virtual_environment_the_users_data_folder_is_used(machine, monkeypatch):
    monkeypatch.setattr(sys, "prefix", sys.base_prefix)
    monkeypatch.setattr(sys, "platform", "linux")
    assert sidecar.default_location() == machine / "home/.local/share/neurosparse/lava"
    monkeypatch.setenv("XDG_DATA_HOME", str(machine / "data"))
    assert sidecar.default_location() == machine / "data/neurosparse/lava"


def test_a_named_lava_interpreter_must_import_lava(machine, monkeypatch):
    works = script(machine / "works", "echo 'lava-nc 0.10.0'")
    assert sidecar.lava_python(works) == works
    assert sidecar.lava_version(works) == "0.10.0"
    broken = script(machine / "broken", "echo 'No module named lava' >&2; exit 1")
    monkeypatch.setenv(sidecar.LAVA_PYTHON_VARIABLE, str(broken))
    with pytest.raises(SidecarError, match=r"(?s)NEUROSPARSE_LAVA_PYTHON: .*cannot run Lava.*No module named lava"):
        sidecar.lava_python()
    with pytest.raises(SidecarError, match=r"Lava.python: .*absent cannot run Lava"):
        sidecar.lava_python(machine / "absent")


def test_an_interpreter_that_imports_lava_is_its_own_sidecar(machine, monkeypatch):
    monkeypatch.setattr(sidecar, "_is_own_sidecar", lambda: True)
    assert sidecar.lava_python() == Path(sys.executable)
    works = script(machine / "works", "echo 'lava-nc 0.10.0'")
    assert sidecar.lava_python(works) == works  # one that is named comes first


def test_the_lock_pins_every_package_to_one_version():
    lines = [line for line in sidecar.lock_file().read_text().splitlines() if line and not line.startswith("#")]
    assert "lava-nc==0.10.0" in lines
    assert all(line.count("==") == 1 and "*" not in line for line in lines)


def test_the_lock_is_found_in_an_installed_package(tmp_path, monkeypatch):
    installed = tmp_path / "neurosparse" / "_hardware" / "lava" / "requirements.txt"
    installed.parent.mkdir(parents=True)
    installed.write_text("lava-nc==0.10.0\n")
    monkeypatch.setattr(sidecar.importlib.resources, "files", lambda package: tmp_path / package)
    assert sidecar.lock_file() == installed
    installed.unlink()
    with pytest.raises(SidecarError, match=r"lock file of the Lava environment: not at .*_hardware"):
        sidecar.lock_file()
