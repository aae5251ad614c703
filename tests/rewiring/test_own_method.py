"""The recipe "write a method of your own" is executed as printed, and an installed package can add one."""

from __future__ import annotations

import re
import sys
import types
from pathlib import Path

import pytest

from neurosparse.core.registry import Registry
from neurosparse.errors import UnknownNameError
from neurosparse.rewiring import METHODS
from neurosparse.training.config import RunConfig
from neurosparse.training.run import read_metrics, train

RECIPE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "write_a_method.md"


def blocks() -> list[str]:
    return re.findall(r"```python\n(.*?)```", RECIPE.read_text(encoding="utf-8"), re.DOTALL)


def executed(code: str) -> types.ModuleType:
    module = types.ModuleType("own_method")
    sys.modules["own_method"] = module  # dataclasses look their module up
    exec(compile(code, str(RECIPE), "exec"), module.__dict__)
    return module


def test_the_method_of_the_recipe_has_at_most_60_lines() -> None:
    assert len([line for line in blocks()[0].splitlines() if line.strip()]) <= 60


def test_the_recipe_runs_as_printed(capsys: pytest.CaptureFixture[str]) -> None:
    module = executed("\n".join(blocks()))
    assert sum(module.rewirer.stats.total_births.values()) == 4 * (25 + 12), "a tenth of 256 and 120, four times"
    assert module.rewirer.stats.total_births == module.rewirer.stats.total_deaths
    assert capsys.readouterr().out


def test_it_kills_the_least_salient() -> None:
    import torch
    from scripted import one_layer

    module = executed(blocks()[0])
    layer = one_layer(6, 1, [0, 1, 2, 3], [1.0, -2.0, 3.0, 0.1])
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.0)
    rewirer = module.Saliency(fraction=0.5, every=1).attach(torch.nn.Sequential(layer), optimizer)
    layer.values.grad = torch.tensor([0.1, 1.0, -0.2, 50.0], dtype=torch.float64)  # saliency 0.1, 2, 0.6, 5
    rewirer.step()
    assert {1, 3} <= set(layer.sites.tolist())
    assert sorted(layer.values.tolist()) == [-2.0, 0.0, 0.0, 0.1]


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A third party's distribution that offers the recipe's method by an entry point."""
    (tmp_path / "my_sparse_package.py").write_text(blocks()[0], encoding="utf-8")
    info = tmp_path / "my_sparse_package-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my-sparse-package\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[neurosparse.methods]\nsaliency = my_sparse_package:Saliency\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("neurosparse.rewiring.METHODS", Registry("methods", METHODS._entries))
    yield
    sys.modules.pop("my_sparse_package", None)


def test_a_method_of_an_installed_package_trains_from_a_configuration(installed: None, tmp_path: Path) -> None:
    config = RunConfig.load(
        {
            "data": {"n_steps": 4},
            "network": {"hidden": [20], "density": 0.2},
            "method": {"name": "saliency", "fraction": 0.2, "every": 3},
            "training": {"epochs": 1, "batch_size": 32, "samples": 200},
        }
    )
    train(config, tmp_path / "run")
    (epoch,) = read_metrics(tmp_path / "run")
    assert epoch["births"] == epoch["deaths"] > 0


def test_its_hyper_parameters_are_checked_like_ours(installed: None) -> None:
    with pytest.raises(
        UnknownNameError, match=r"\[method\] saliency: 'fractoin' is not known\. Did you mean 'fraction'"
    ):
        RunConfig.load({"method": {"name": "saliency", "fractoin": 0.2}})
    with pytest.raises(UnknownNameError, match=r"'salience' is not known\. Did you mean 'saliency'"):
        RunConfig.load({"method": {"name": "salience"}})
