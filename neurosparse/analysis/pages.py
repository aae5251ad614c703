"""Self-contained HTML pages from the templates beside this module."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

from neurosparse.analysis.comparison import Simulation
from neurosparse.analysis.summary import count

__all__ = ["data_uri", "render"]


def render(name: str, **content: Any) -> str:
    """Return the page of the template `name`; everything in `content` is text, never markup."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    loader = PackageLoader("neurosparse", "analysis/templates")
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    filters: dict[str, Callable[[Any], str]] = {
        "count": count,
        "percent": lambda share: f"{share:.2%}",
        "verdict": _verdict,
    }
    environment.filters.update(filters)
    return environment.get_template(f"{name}.html.j2").render(**content)


def data_uri(kind: str, content: bytes) -> str:
    """Return an image of `kind` (png, gif) as a URI that holds it."""
    return f"data:image/{kind};base64," + base64.b64encode(content).decode()


def _verdict(row: Simulation) -> str:
    if row.identical is None:
        return row.verdict
    return (
        f"✓ identical{', voltages too' if row.voltages_compared else ''}"
        if row.identical
        else f"✗ different\n{row.verdict}"
    )
