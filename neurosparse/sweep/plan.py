"""What a sweep is made of: the axes of its grid or search, and the configuration of each of its runs."""

from __future__ import annotations

import dataclasses
import itertools
import json
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic import ValidationError as SchemaError

from neurosparse.core.container import write_atomically
from neurosparse.errors import ArtifactError, ValidationError
from neurosparse.pruning import PRUNING
from neurosparse.rewiring import METHODS
from neurosparse.training.config import RunConfig

__all__ = ["DENSE", "SweepPlan"]

DENSE = "dense"
"""The name under which a fully connected baseline takes part beside the rewiring methods; it has no density axis."""

_Density = Annotated[float, Field(gt=0, le=1)]


class SweepPlan(BaseModel):
    """The plan of a sweep, written as ``sweep.json`` when it starts and never changed after.

    Attributes
    ----------
    base : dict
        The configuration that all runs share, as `RunConfig` resolves it.
    densities, methods : lists
        The axes of the grid; a method is one that rewires, one that prunes a dense network down to the density, or
        ``"dense"``. In a search, densities are drawn log-uniformly between the lowest and the highest.
    seeds : int
        Runs per point of the grid, with seeds ``base.seed``, ``base.seed + 1``, ...
    vary : dict of "section.key" to list
        Further axes, for instance ``{"training.learning_rate": [0.01, 0.02]}``.
    search : int
        0 for the grid; otherwise the number of trials of a search for the best trade-offs between validation accuracy,
        synapses and synaptic operations.
    samples : int
        Test samples on which synaptic operations are counted.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    base: dict[str, Any]
    densities: list[_Density] = Field(min_length=1)
    methods: list[str] = Field(min_length=1)
    seeds: Annotated[int, Field(ge=1)] = 3
    vary: dict[str, list[bool | int | float | str]] = Field(default_factory=dict)
    search: Annotated[int, Field(ge=0)] = 0
    samples: Annotated[int, Field(ge=1)] = 1000

    @model_validator(mode="after")
    def _consistent(self) -> SweepPlan:
        axes: dict[str, list[Any]] = {"densities": self.densities, "methods": self.methods, **self.vary}
        for name, values in axes.items():
            if not values:
                raise ValueError(f"sweep.{name}: has no value")
            if len({json.dumps(value) for value in values}) != len(values):
                raise ValueError(f"sweep.{name}: a value stands there twice, got {values}")
        if self.search and (len(self.densities) < 2 or DENSE in self.methods):
            raise ValueError(
                "sweep.search: needs a lowest and a highest density, and methods that have one; "
                f"got densities {self.densities} and methods {self.methods}"
            )
        for parameters in self.points()[:: max(1, self.seeds)]:
            self.config(parameters)  # a wrong method, key or value is an error before the first hour, not after
        return self

    @classmethod
    def make(cls, **fields: Any) -> SweepPlan:
        """Return the plan; `ValidationError` names the field that is wrong."""
        try:
            return cls(**fields)
        except SchemaError as error:
            raise ValidationError("\n".join(_explain(entry) for entry in error.errors())) from error

    @classmethod
    def load(cls, path: Path) -> SweepPlan:
        """Read ``sweep.json``. Raises `ArtifactError` or `ValidationError`."""
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ArtifactError(f"{path}: cannot be read as the plan of a sweep ({error})") from error
        if not isinstance(content, dict):
            raise ArtifactError(f"{path}: must be a JSON object, got {type(content).__name__}")
        return cls.make(**content)

    def save(self, path: Path) -> None:
        """Write the plan as JSON, atomically."""
        write_atomically(path, self.to_json().encode())

    def to_json(self) -> str:
        """Return the plan as JSON; the same plan gives the same text."""
        return json.dumps(self.model_dump(), indent=1, sort_keys=True)

    def points(self) -> list[dict[str, Any]]:
        """Return the parameters of every run of the grid: seed fastest, a dense baseline once per seed."""
        found = []
        for method, density in itertools.product(self.methods, self.densities):
            if method == DENSE and density != self.densities[0]:
                continue
            for others in itertools.product(*self.vary.values()):
                point = {"method": method, "density": 1.0 if method == DENSE else density}
                point.update(zip(self.vary, others, strict=True))
                found += [{**point, "seed": int(self.base.get("seed", 0)) + seed} for seed in range(self.seeds)]
        return found

    def config(self, parameters: dict[str, Any]) -> RunConfig:
        """Return the configuration of the run with these `parameters`. Raises `ValidationError`."""
        content = json.loads(json.dumps(self.base))
        network, method = content.setdefault("network", {}), content.setdefault("method", {})
        given = content.pop("pruning", None) or {}
        prunes = parameters["method"] in PRUNING and parameters["method"] not in METHODS
        if parameters["method"] == DENSE or prunes:
            network.update(connections="dense", density=1.0)
            content["method"] = {"name": "static"}
            if prunes:
                content["pruning"] = _pruning(parameters["method"], parameters["density"], given)
        else:
            network["connections"] = "sparse"
            network["density"] = parameters["density"]
            # hyper-parameters in the base configuration belong to the method that it names, not to the others
            keep = method if method.get("name") == parameters["method"] else {}
            content["method"] = {**keep, "name": parameters["method"]}
        content["seed"] = parameters["seed"]
        rewires = not prunes and parameters["method"] != DENSE
        skipped = {name for name, used in (("method", rewires), ("pruning", prunes)) if not used}
        for key in self.vary:
            section, _, name = key.partition(".")
            if section in skipped and name:
                continue
            if not name or not isinstance(content.setdefault(section, {}), dict):
                raise ValidationError(f"sweep.vary: {key!r} is no key of a configuration; write section.key")
            content[section][name] = parameters[key]
        return RunConfig.load(content)


def _pruning(method: str, density: float, given: dict[str, Any]) -> dict[str, Any]:
    """Return the section of a dense-to-sparse `method` that ends at `density`; options in `given` are of its own."""
    own = {**(given if given.get("method") == method else {}), "method": method}
    if "density" in {f.name for f in dataclasses.fields(PRUNING.get(method))}:
        return {**own, "density": density}
    if density != 1:
        raise ValidationError(
            f"sweep.methods: {method!r} has no density to set, it is a result; give densities [1.0], where the method "
            "starts, and vary the option that it follows from"
        )
    return own


def _explain(entry: Any) -> str:
    if entry["type"] == "value_error":
        return str(entry["ctx"]["error"])
    return f"sweep.{'.'.join(str(part) for part in entry['loc'])}: {entry['msg']}, got {entry['input']!r}"
