"""The pages of the studies say what the committed results say."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from neurosparse.pruning import PRUNING
from neurosparse.rewiring import METHODS

ROOT = Path(__file__).resolve().parents[1]
COMMAND = [sys.executable, str(ROOT / "docs" / "update_studies.py"), "--check"]


def test_every_number_in_the_studies_is_that_of_the_results() -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(COMMAND, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("page", sorted((ROOT / "docs" / "studies").glob("*.md")), ids=lambda page: page.stem)
def test_a_study_says_how_to_run_it_again_and_with_what_it_can_be_compared(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert "Re-run: `" in text
    assert "<!--=" in text, "no number of its text comes from the results"


EXPLAINS_ALL = """
import contextlib, io, pathlib, runpy, sys
for path in sorted(pathlib.Path("examples").glob("*.py")):
    sys.argv, said = [str(path), "--help"], io.StringIO()
    sys.path[0] = "examples"
    is_script = 'if __name__ == "__main__"' in path.read_text(encoding="utf-8")
    with contextlib.redirect_stdout(said), contextlib.suppress(SystemExit):
        runpy.run_path(str(path), run_name="__main__")
    print(path.name, "usage:" in said.getvalue() or not is_script)
"""


def test_every_example_imports_and_explains_itself() -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    options = {"cwd": ROOT, "env": environment, "capture_output": True, "text": True, "timeout": 300}
    done = subprocess.run([sys.executable, "-c", EXPLAINS_ALL], check=False, **options)
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    assert len(lines) >= 10
    assert [name for name, said in lines if said != "True"] == []


@pytest.fixture(scope="module")
def entries() -> ModuleType:
    """`examples/methods_entries.py`."""
    spec = importlib.util.spec_from_file_location("methods_entries", ROOT / "examples" / "methods_entries.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # which a dataclass of the module asks for
    spec.loader.exec_module(module)
    return module


def test_every_registered_method_is_in_the_table_or_left_out_for_a_reason(entries: ModuleType) -> None:
    in_the_table = {entries.registered_name(name) for name in entries.ENTRIES} - {"dense"}
    left_out = entries.NOT_IN_THE_TABLE
    assert in_the_table | set(left_out) == {*METHODS._entries, *PRUNING._entries}
    assert not in_the_table & set(left_out)
    assert all(len(reason.split()) > 3 for reason in left_out.values())


def test_the_committed_table_has_every_row_with_three_seeds(entries: ModuleType) -> None:
    found = json.loads((ROOT / "examples" / "results" / "methods_on_mnist.json").read_text(encoding="utf-8"))
    rows = [*found["rows"], *found["emergent"]]
    for name in [*entries.ENTRIES, *entries.STRUCTURED]:
        assert {row["seed"] for row in rows if row["method"] == name} >= {0, 1, 2}, name
