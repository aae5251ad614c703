"""``neurosparse bench``: options in, tables, JSON and files out."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from neurosparse.benchmarks import suite

from .conftest import Invoke


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What `suite.run` is called with; it measures growth only, and at once."""
    called: list[dict[str, Any]] = []

    def run(lineup: Any, *, tell: Any, **options: Any) -> dict[str, Any]:
        called.append({"pythons": lineup.pythons, **options})
        tell("growth with synapses")
        series = {"sizes": [10, 100, 1000], "seconds": [0.01, 0.1, 1.0], "slope_ratio": 1.0}
        return {
            "format": 1,
            "quick": False,
            "n_threads": 1,
            "missing": [],
            "growth": dict.fromkeys(("synapses", "lanes"), series),
        }

    monkeypatch.setattr(suite, "run", run)
    return called


def test_tables_go_to_stdout_and_progress_to_stderr(invoke: Invoke, calls: list[dict[str, Any]]) -> None:
    result = invoke("bench")
    assert result.exit_code == 0
    assert "| synapses | 10: 10.0, 100: 100.0, 1 000: 1000.0 | 1.00 |" in result.stdout
    assert "growth with synapses\n" in result.stderr
    assert "growth with synapses\n" not in result.stdout
    assert calls[0]["parts"] == suite.PARTS


def test_options_reach_the_suite(invoke: Invoke, calls: list[dict[str, Any]], tmp_path: Path) -> None:
    options = ["--part", "growth", "--density", 0.1, "--density", 0.05, "--threads", 3, "--quick"]
    result = invoke("bench", *options, "--peer", f"norse={sys.executable}", "--peers", tmp_path)
    assert result.exit_code == 0
    (call,) = calls
    assert (call["parts"], call["densities"], call["n_threads"], call["quick"]) == (["growth"], [0.1, 0.05], 3, True)
    assert call["pythons"]["norse"] == Path(sys.executable)


def test_json_is_one_object_and_out_is_a_folder_with_the_same(
    invoke: Invoke, calls: list[dict[str, Any]], tmp_path: Path
) -> None:
    result = invoke("bench", "--json", "--out", tmp_path / "results")
    printed = json.loads(result.stdout)
    assert printed["growth"]["lanes"]["slope_ratio"] == 1.0
    assert printed["machine"]["cores"] >= 1
    assert suite.load(tmp_path / "results" / "bench.json") == printed
    assert (tmp_path / "results" / "growth.png").is_file()
    assert str(Path.home()) not in result.stdout  # results are published: no path of this machine


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--peer", "norse"], "expected NAME=PYTHON"),
        (["--peer", "nors=python"], "Did you mean 'norse'"),
        (["--peers", "no-such-folder"], "is not a folder"),
        (["--part", "everything"], "bench.part: 'everything' is not known"),
    ],
)
def test_wrong_options_are_wrong_usage(invoke: Invoke, options: list[str], message: str) -> None:
    result = invoke("bench", *options)
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.split())
