"""Every page of the documentation with Python in it runs as printed, from an empty folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from test_docs import ROOT, run, runnable

PAGES = {
    path.relative_to(ROOT / "docs").as_posix(): runnable(path.read_text(encoding="utf-8"))
    for path in sorted((ROOT / "docs").rglob("*.md"))
}
EXECUTABLE = [name for name, code in PAGES.items() if code.strip()]


def test_there_are_seven_tutorials() -> None:
    assert len([name for name in EXECUTABLE if name.startswith("tutorials/")]) == 7


@pytest.mark.parametrize("page", EXECUTABLE)
def test_the_python_of_the_page_runs_as_printed(page: str, tmp_path: Path) -> None:
    done = run(PAGES[page], tmp_path, Path(page).name)
    assert done.returncode == 0, f"a traceback points at the lines of docs/{page}:\n{done.stderr[-3000:]}"
