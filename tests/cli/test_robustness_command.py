"""``robustness``: accuracies at radii, the checks, and an exit status that says whether to believe them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import neurosparse.training.attacked as attacked
from neurosparse.training.robustness import Check, RobustnessReport
from neurosparse.training.run import evaluate

from .conftest import Invoke, lines

SHORT = ("--samples", 40, "--steps", 3, "--restarts", 1, "--queries", 5)


def test_the_clean_accuracy_is_that_of_evaluate_and_attacks_leave_no_more(trained: Path, invoke: Invoke) -> None:
    result = invoke("robustness", trained, "--epsilon", 0.2, "--epsilon", 0.05, *SHORT, "--json")
    (found,) = lines(result.stdout)
    assert found["clean"] == evaluate(trained, "test", 40)["accuracy"]
    assert list(found["robust"]) == ["0.05", "0.2"]
    for radius, robust in found["robust"].items():
        by_attack = [row["accuracy"] for row in found["by_attack"] if f"{row['epsilon']:g}" == radius]
        assert len(by_attack) == 7  # FGSM and PGD through the network's surrogate and two others, and Square
        assert robust <= min([found["clean"], *by_attack])
    assert found["trustworthy"] == all(check["passed"] for check in found["checks"])
    assert result.exit_code == (0 if found["trustworthy"] else 1)
    assert result.stderr.count("epsilon 0.05  pgd/") == 3


@pytest.mark.parametrize(("passed", "status", "words"), [(True, 0, "all 1 checks hold"), (False, 1, "1 of 1 checks")])
def test_the_verdict_is_said_in_words_and_as_exit_status(
    trained: Path, invoke: Invoke, monkeypatch: pytest.MonkeyPatch, passed: bool, status: int, words: str
) -> None:
    def report(*_: Any, **__: Any) -> RobustnessReport:
        return RobustnessReport(0.9, {0.1: 0.5}, {}, [Check("radius", passed, "a larger radius leaves no more")], 40)

    monkeypatch.setattr(attacked, "evaluate_robustness", report)
    result = invoke("robustness", trained, *SHORT)
    assert result.exit_code == status
    assert words in result.stdout
    assert "epsilon 0.1: 50.00%" in result.stdout
    assert ("FAILED a larger radius" in result.stdout) is not passed


def test_a_radius_beyond_the_pixels_is_refused(trained: Path, invoke: Invoke) -> None:
    result = invoke("robustness", trained, "--epsilon", 1.5, *SHORT)
    assert result.exit_code == 2
    assert "must be increasing radii in (0, 1], got [1.5]" in result.stderr
