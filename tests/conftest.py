"""Markers that skip with the line that would enable them, and the settings of hypothesis."""

from __future__ import annotations

import functools
import os
import shutil
from collections.abc import Callable

import pytest
from hypothesis import settings

from neurosparse.backends import get_backend
from neurosparse.data.folder import data_folder
from neurosparse.errors import DataNotFoundError

# The time of an example says how busy the machine is, not whether the code is right.
settings.register_profile("neurosparse", deadline=None)
settings.load_profile("neurosparse")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="also run the tests marked slow")


def pytest_runtest_setup(item: pytest.Item) -> None:
    marked = {marker.name for marker in item.iter_markers()}
    if "slow" in marked and not item.config.getoption("--slow"):
        pytest.skip("slow: run `pytest --slow`")
    for name, missing in _MISSING.items():
        if name in marked:
            line = missing()
            if line is not None:
                pytest.skip(f"{name}: {line}")


@functools.cache
def _mnist() -> str | None:
    try:
        data_folder("mnist", None, "mnist.npz, or the four idx files")
    except DataNotFoundError as error:
        return str(error)
    return None


@functools.cache
def _compiler() -> str | None:
    candidates = [os.environ.get("CXX"), "c++", "g++", "clang++", "cl"]
    if any(name and shutil.which(name.split()[0]) for name in candidates):
        return None
    return "no C++ compiler is on PATH; install one (`apt install g++`, `xcode-select --install`) or name it by CXX"


@functools.cache
def _gpu() -> str | None:
    import torch

    return None if torch.cuda.is_available() else "needs a CUDA device and a CUDA build of torch"


@functools.cache
def _engine(name: str) -> str | None:
    return get_backend(name).missing()


# Only asked for a test that carries the marker: looking for Lava starts another interpreter.
_MISSING: dict[str, Callable[[], str | None]] = {
    "mnist": _mnist,
    "compiler": _compiler,
    "gpu": _gpu,
    "brian2": functools.partial(_engine, "brian2"),
    "lava": functools.partial(_engine, "lava"),
}
