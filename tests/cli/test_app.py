"""What holds for every command."""

from __future__ import annotations

import inspect
import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import neurosparse
from neurosparse.cli import app
from neurosparse.cli.output import emit

from .conftest import Invoke

COMMANDS = {info.name: info.callback for info in app.registered_commands}


def test_the_version_is_that_of_the_package(invoke: Invoke) -> None:
    result = invoke("--version")
    assert (result.exit_code, result.stdout) == (0, f"neurosparse {neurosparse.__version__}\n")


def test_every_command_of_the_design_is_there(invoke: Invoke) -> None:
    assert set(COMMANDS) == {
        "compact",
        "robustness",
        "doctor",
        "train",
        "evaluate",
        "simulate",
        "deploy",
        "report",
        "export",
        "finetune",
        "import",
        "sweep",
        "bench",
        "demo",
    }
    for name in COMMANDS:
        result = invoke(name, "--help")
        assert result.exit_code == 0
        assert "--json" in result.stdout, name


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_documented(name: str) -> None:
    assert len(inspect.getdoc(COMMANDS[name]) or "") > 40


def test_an_unknown_command_is_wrong_usage(invoke: Invoke) -> None:
    assert invoke("trian").exit_code == 2


def test_json_has_no_numbers_that_json_does_not_know(capsys: pytest.CaptureFixture[str]) -> None:
    emit({"a": math.nan, "b": np.float32(0.5), "c": [Path("x"), math.inf, (1, None)], "d": {1: np.int64(2)}})
    text = capsys.readouterr().out
    assert json.loads(text) == {"a": None, "b": 0.5, "c": ["x", None, [1, None]], "d": {"1": 2}}


def test_the_command_line_starts_without_torch_or_an_engine() -> None:
    code = (
        "import sys, neurosparse.cli; "
        "print([name for name in ('torch', 'brian2', 'lava', 'matplotlib', 'scipy', 'sklearn') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.strip() == "[]"


def test_the_module_runs_as_the_script_does() -> None:
    command = [sys.executable, "-m", "neurosparse.cli", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout == f"neurosparse {neurosparse.__version__}\n"
