"""TOML reading on every supported Python."""

from __future__ import annotations

import sys
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib as _toml
else:
    import tomli as _toml

__all__ = ["loads"]


def loads(text: str) -> dict[str, Any]:
    """Return the content of a TOML document; ValueError if it is none."""
    content: dict[str, Any] = _toml.loads(text)
    return content
