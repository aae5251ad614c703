"""Templates of the files that formats write: package data in ``formats/templates``."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from typing import Any

__all__ = ["render"]


def render(template: str, values: Mapping[str, Any]) -> bytes:
    """Return a template filled with `values`; a name that is in the template only is an error."""
    from jinja2 import Environment, StrictUndefined  # here, for the Lava environment has none and needs none

    environment = Environment(
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    source = files("neurosparse.formats").joinpath("templates", template).read_text(encoding="utf-8")
    return environment.from_string(source).render(values).encode()
