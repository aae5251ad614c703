"""``neurosparse finetune`` and what follows it."""

from __future__ import annotations

from pathlib import Path

import pytest

from .conftest import Invoke, lines


def test_finetune_trains_in_integers_that_deploy_then_takes(trained: Path, tmp_path: Path, invoke: Invoke) -> None:
    out = tmp_path / "in4"
    result = invoke("finetune", trained, "--bits", 4, "--epochs", 1, "--out", out, "--json")
    assert result.exit_code == 0, result.stderr
    epoch, told = lines(result.stdout)
    assert (epoch["epoch"], told["bits"]) == (1, 4)
    (evaluated,) = lines(invoke("evaluate", out, "--json").stdout)
    (deployed,) = lines(invoke("deploy", out, "--bits", 4, "--samples", 360, "--json").stdout)
    assert deployed["accuracy"]["integer"] == pytest.approx(evaluated["accuracy"])
    (simulated,) = lines(invoke("simulate", out, "--integer", "--backend", "native", "--voltages", "--json").stdout)
    reference, native = simulated["simulations"]
    assert reference["accuracy"] == pytest.approx(evaluated["accuracy"])
    assert native["identical"]
    wrong = invoke("deploy", out, "--bits", 8)
    assert wrong.exit_code == 2
    assert "was fine-tuned with 4 bits, got 8" in wrong.stderr
