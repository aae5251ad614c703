"""Naming an engine must not import it: the torch-free half stays torch-free, and a start stays quick."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ["torch", "snntorch", "brian2", "lava", "matplotlib", "numba"]


def _modules_after(statement: str) -> set[str]:
    code = f"{statement}\nimport sys\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "statement",
    [
        "import neurosparse.backends",
        "import neurosparse.backends.base",
        "import neurosparse.backends.brian2",
        "import neurosparse.backends.native",
        "import neurosparse.backends.snntorch",
        "from neurosparse.backends import BACKENDS; BACKENDS.names()",
        "import neurosparse.analysis.parity",
    ],
)
def test_no_engine_is_imported_before_it_runs(statement: str) -> None:
    assert not _modules_after(statement) & set(HEAVY)


def test_asking_what_is_missing_imports_no_engine_either() -> None:
    names = ("native", "brian2", "brian2-cython", "brian2-standalone", "snntorch")
    statement = f"from neurosparse.backends import get_backend\nfor name in {names}: get_backend(name).missing()"
    assert not _modules_after(statement) & set(HEAVY)


def test_the_reference_runs_without_torch() -> None:
    statement = "\n".join(
        [
            "import sys; sys.modules['torch'] = None; sys.modules['brian2'] = None",
            "import numpy as np, neurosparse as ns",
            "network = ns.Network(ns.Input(1), [ns.Population('a', 1, ns.LIF())], [])",
            "ns.simulate(network, np.ones((2, 1), bool))",
        ]
    )
    assert "neurosparse.backends.reference" in _modules_after(statement)
