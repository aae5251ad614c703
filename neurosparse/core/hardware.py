"""Where hardware data lies: ``_hardware`` in an installed package, ``hardware`` beside it in a checkout."""

from __future__ import annotations

import importlib.resources
from pathlib import Path

__all__ = ["hardware_paths"]


def hardware_paths(*parts: str) -> list[Path]:
    """Return where a file or folder of hardware data may lie, the installed package's place first."""
    package = Path(str(importlib.resources.files("neurosparse")))
    return [package.joinpath("_hardware", *parts), package.parent.joinpath("hardware", *parts)]
