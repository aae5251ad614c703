"""``neurosparse doctor``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from neurosparse.cli.output import FAILED, JsonOption, emit, say, stderr, stdout


def doctor(
    setup_lava: Annotated[
        bool, typer.Option("--setup-lava", help="Make the Python 3.10 environment that Lava needs.")
    ] = False,
    python: Annotated[
        Path | None,
        typer.Option("--python", metavar="PATH", help="The Python 3.10 to make it with; else it is searched for."),
    ] = None,
    json_output: JsonOption = False,
) -> None:
    """Show what is installed, which engines run here, and how to get those that do not.

    Exit status 1 if something is missing that neurosparse cannot do without.
    """
    from neurosparse.cli.environment import environment

    if python is not None and not setup_lava:
        raise typer.BadParameter("--python belongs to --setup-lava")
    if setup_lava:
        _set_up(python)
    found = environment()
    if json_output:
        emit(found)
    else:
        _show(found)
    if not found["ok"]:
        raise typer.Exit(FAILED)


def _set_up(python: Path | None) -> None:
    from neurosparse.backends import sidecar

    place = sidecar.default_location()
    with stderr().status(
        f"Lava: installing the packages of {sidecar.lock_file().name} into {place}; a minute or two ..."
    ):
        interpreter = sidecar.setup_lava(python)
    say(f"Lava {sidecar.lava_version(interpreter)} is ready: {interpreter}")


def _show(found: dict[str, Any]) -> None:
    from rich.markup import escape
    from rich.table import Table

    cpu, lava = found["processor"], found["lava"]
    features = " ".join(cpu["features"]) or "features unknown"
    folder = found["data"]["NEUROSPARSE_DATA"]
    sections = {
        "Machine": {
            "neurosparse": found["neurosparse"],
            "Python": found["python"],
            "platform": found["platform"],
            "processor": f"{cpu['name']}, {cpu['cores']} usable cores: {features}",
            "memory": f"{cpu['memory_gb']} GB, {cpu['free_memory_gb']} GB free",
            "data folder": folder or "NEUROSPARSE_DATA is not set (mnist needs it, digits does not)",
        },
        "Packages": {name: version or "not installed" for name, version in found["packages"].items()},
        "Compilers": {name: answer or "none" for name, answer in found["compilers"].items()},
        "Engines": {name: "ready" if line is None else "not here" for name, line in found["engines"].items()},
        "Lava": {"environment": f"lava-nc {lava['version']}, {lava['python']}" if lava["python"] else lava["problem"]},
    }
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_column(min_width=18, no_wrap=True)
    for title, rows in sections.items():
        table.add_row(f"[bold]{title}[/bold]")
        for name, value in rows.items():
            table.add_row(f"  {name}", escape(str(value)))
    console = stdout()
    console.print(table)
    for hint in found["hints"]:
        console.print(f"to do: {hint}", markup=False, soft_wrap=True)
    console.print("all well" if found["ok"] else "something necessary is missing: see above", style="bold")
