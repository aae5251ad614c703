"""The pages of the studies say what the committed results say."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

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
