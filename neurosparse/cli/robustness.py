"""``neurosparse robustness``."""

from __future__ import annotations

from typing import Annotated

import typer

from neurosparse.cli.output import FAILED, JsonOption, RunArgument, emit, say, stdout


def robustness(
    run: RunArgument,
    epsilon: Annotated[
        list[float] | None,
        typer.Option(
            "--epsilon", metavar="R", help="Radius, in the maximum norm of pixels in [0, 1]; repeat it. 0.05 and 0.1."
        ),
    ] = None,
    samples: Annotated[int, typer.Option("--samples", min=1, help="The first N test samples.", metavar="N")] = 200,
    steps: Annotated[int, typer.Option("--steps", min=1, help="Of PGD.", metavar="N")] = 20,
    restarts: Annotated[int, typer.Option("--restarts", min=1, help="Random starts of PGD.", metavar="N")] = 2,
    queries: Annotated[int, typer.Option("--queries", min=1, help="Of Square, the black box.", metavar="N")] = 100,
    draws: Annotated[
        int, typer.Option("--draws", min=1, help="Encodings to average over, where they are random.", metavar="N")
    ] = 10,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the attacks.")] = 0,
    json_output: JsonOption = False,
) -> None:
    """Attack the pixels of test samples: what accuracy is left at each radius, and can that number be trusted?

    FGSM and PGD through several surrogate gradients, and Square, which needs none; a sample counts as robust if no
    attack gets it misread. Exit status 1 if a check against masked gradients fails: a better attack would leave less.
    """
    from neurosparse.cli.runs import network_of
    from neurosparse.training.attacked import robustness_of

    network, radii = network_of(run), sorted(set(epsilon or [0.05, 0.1]))
    report = robustness_of(
        run,
        epsilons=radii,
        samples=samples,
        n_steps=steps,
        restarts=restarts,
        n_queries=queries,
        draws=draws,
        seed=seed,
        on_attack=lambda radius, name, accuracy: say(f"epsilon {radius:g}  {name}  {accuracy:.2%}"),
    )
    if json_output:
        emit({"run": run, **report.to_dict()})
    else:
        stdout().print(f"{run}: {network}", style="bold", markup=False)
        stdout().print(str(report), markup=False)
        failed = sum(not check.passed for check in report.checks)
        verdict = (
            f"{failed} of {len(report.checks)} checks failed: gradients are masked, or the attack is too weak; the "
            "accuracies above are too high"
            if failed
            else f"all {len(report.checks)} checks hold; no sign of masked gradients"
        )
        stdout().print(verdict, markup=False)
    if not report.trustworthy:
        raise typer.Exit(FAILED)
