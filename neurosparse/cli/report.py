"""``neurosparse report``."""

from __future__ import annotations

from neurosparse.cli.output import JsonOption, RunArgument, emit, stdout


def report(run: RunArgument, json_output: JsonOption = False) -> None:
    """Write RUN/report.html, one self-contained page, and the figures in RUN/figures."""
    from neurosparse.cli.runs import report_on

    path = report_on(run)
    figures = sorted((run / "figures").glob("*.png"))
    if json_output:
        emit({"run": run, "report": path, "figures": figures})
    else:
        stdout().print(f"{path} ({path.stat().st_size / 1e6:.1f} MB, {len(figures)} figures)", markup=False)
