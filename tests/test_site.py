"""The documentation site builds without a warning, and its reference has every public name."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import neurosparse

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("mkdocs", reason="pip install 'neurosparse[docs]'")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    return folder


def test_the_site_builds_with_warnings_as_errors(site: Path) -> None:
    assert (site / "index.html").stat().st_size > 1000


def test_every_public_name_is_in_the_reference(site: Path) -> None:
    pages = "".join(path.read_text(encoding="utf-8") for path in (site / "reference").rglob("index.html"))
    documented = {name.rpartition(".")[2] for name in re.findall(r'id="(neurosparse[\w.]*)"', pages)}
    public = set(neurosparse._PUBLIC)
    assert public <= documented, f"docs/reference lacks {', '.join(sorted(public - documented))}"


def test_the_site_asks_no_other_server_for_anything(site: Path) -> None:
    for path in site.rglob("*.html"):
        loaded = re.findall(
            r'<(?:script|link|img)[^>]+(?:src|href)="(https?://[^"]+)"', path.read_text(encoding="utf-8")
        )
        assert not loaded, f"{path.relative_to(site)} loads {loaded[0]}"
