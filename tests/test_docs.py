"""The README is executed: a block of Python in it is a promise that it runs as printed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
SKIP = "<!-- not executed -->"


def runnable(text: str) -> str:
    """Return the Python of a Markdown text, every line on the line it has there, so that a traceback points into it."""
    kept, skip_next, inside = [], False, ""
    for line in text.splitlines():
        fence = re.match(r"\s*```\s*(\w*)", line)
        if fence and not inside:
            inside = "skipped" if skip_next or fence[1] != "python" else "python"
            skip_next = False
        elif fence:
            inside = ""
        elif inside == "python":
            kept.append(line)
            continue
        elif not inside and line.strip():
            skip_next = line.strip() == SKIP
        kept.append("")
    return "\n".join(kept).rstrip() + "\n"


def blocks(code: str) -> list[list[str]]:
    """The blocks of what `runnable` returned, without their empty lines."""
    return [[line for line in block.splitlines() if line] for block in re.split(r"\n\n\n+", code) if block.strip()]


def run(code: str, folder: Path, name: str) -> subprocess.CompletedProcess[str]:
    """Run `code` as a file called `name` in an empty folder."""
    (folder / name).write_text(code, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "MPLBACKEND": "Agg"}
    return subprocess.run(
        [sys.executable, name], cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False
    )


def test_the_python_of_the_readme_runs_as_printed(tmp_path):
    code = runnable(README.read_text(encoding="utf-8"))
    if not code.strip():
        pytest.fail("README.md has no ```python block; its quickstart is what this test is for")
    done = run(code, tmp_path, README.name)
    assert done.returncode == 0, f"a traceback points at the lines of README.md:\n{done.stderr[-3000:]}"


def test_the_quickstart_of_the_readme_has_at_most_15_lines():
    found = blocks(runnable(README.read_text(encoding="utf-8")))
    assert found
    assert len(found[0]) <= 15, f"{len(found[0])} lines"


def test_the_files_that_the_readme_shows_exist():
    text = README.read_text(encoding="utf-8")
    targets = re.findall(r"\]\(([^)#\s]+)\)|src=\"([^\"]+)\"", text)
    local = [a or b for a, b in targets if not re.match(r"[a-z]+:", a or b)]
    missing = [target for target in local if not (ROOT / target).exists()]
    assert not missing, f"README.md points at {', '.join(missing)}"


EXAMPLE = """\
# Title

```python
a = 1
b = a + 1
```

<!-- not executed -->

```python
raise SystemExit("skipped")
```

```console
$ not python
```

Text.

```python
assert b == 2
c = {}
```
"""


def test_blocks_keep_their_lines_and_share_their_names(tmp_path):
    code = runnable(EXAMPLE)
    assert code.splitlines()[3:5] == ["a = 1", "b = a + 1"]
    assert code.splitlines()[20] == "assert b == 2"
    assert "skipped" not in code
    assert "$" not in code
    assert blocks(code) == [["a = 1", "b = a + 1"], ["assert b == 2", "c = {}"]]
    assert run(code, tmp_path, "good.md").returncode == 0


def test_a_failing_block_is_reported_with_its_line(tmp_path):
    done = run(runnable(EXAMPLE.replace("{}", "{}[0]")), tmp_path, "bad.md")
    assert done.returncode == 1
    assert 'bad.md", line 22' in done.stderr
    assert "KeyError" in done.stderr


def test_the_generated_parts_of_the_readme_are_what_the_code_and_the_results_say():
    command = [sys.executable, str(ROOT / "docs" / "update_readme.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
