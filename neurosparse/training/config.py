"""The configuration of a run: one TOML file, every key checked, the fully resolved form saved beside the result."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import tomli_w
from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic import ValidationError as SchemaError

from neurosparse.core.neurons import Reset
from neurosparse.core.toml import loads
from neurosparse.errors import ArtifactError, UnknownNameError, ValidationError

__all__ = [
    "AdversarialConfig",
    "DataConfig",
    "MethodConfig",
    "NetworkConfig",
    "PruningConfig",
    "QuantizationConfig",
    "RunConfig",
    "TrainingConfig",
]

_Density = Annotated[float, Field(gt=0, le=1)]
_Decay = Annotated[float, Field(ge=0, le=1)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DataConfig(_Section):
    """``[data]``: what is learned and how it becomes spikes.

    ``label_noise`` is the share of training labels that are replaced by random ones (validation and test are not).
    ``[data.augmentation]``: options of `neurosparse.data.augmentation.RandomAffine`; an empty table is its defaults.
    """

    name: str = "digits"
    root: str | None = None
    encoding: str = "constant"
    n_steps: Annotated[int, Field(ge=1, le=100_000)] = 10
    encoder_options: dict[str, Any] = Field(default_factory=dict)
    augmentation: dict[str, Any] | None = None
    label_noise: Annotated[float, Field(ge=0, le=1)] = 0.0


class NetworkConfig(_Section):
    """``[network]``: a stack of populations; ``density`` of the whole network, or a list of one per connection."""

    hidden: list[Annotated[int, Field(ge=1)]] = Field(default_factory=lambda: [256, 128])
    connections: Literal["sparse", "dense"] = "sparse"
    density: _Density | list[_Density] = 0.05
    distribution: Literal["erdos_renyi", "uniform"] = "erdos_renyi"
    recurrent_density: _Density | None = None
    neuron: Literal["leaky", "synaptic"] = "leaky"
    alpha: _Decay = 0.8
    beta: _Decay = 0.9
    v_threshold: Annotated[float, Field(gt=0)] = 1.0
    reset: Reset = "subtract"
    readout: Literal["voltage", "rate"] = "voltage"
    readout_beta: _Decay = 0.9
    gain: Annotated[float, Field(gt=0)] | list[Annotated[float, Field(gt=0)]] = 1.0
    bias: bool = False
    surrogate: Literal["atan", "fast_sigmoid", "sigmoid"] = "atan"
    surrogate_slope: Annotated[float, Field(gt=0)] | None = None
    dt: Annotated[float, Field(gt=0)] = 1e-3


class MethodConfig(BaseModel):
    """``[method]``: the name of a rewiring method and its hyper-parameters, checked by the method itself."""

    model_config = ConfigDict(extra="allow", frozen=True)
    name: str = "deep_r"

    def build(self) -> Any:
        """Return the method object."""
        from neurosparse.rewiring import METHODS

        return _configured(f"[method] {self.name}", METHODS.get(self.name), self.model_extra)


class PruningConfig(BaseModel):
    """``[pruning]``: a method that trains a dense network and ends with a sparse one, with its hyper-parameters."""

    model_config = ConfigDict(extra="allow", frozen=True)
    method: str = "gradual_magnitude"

    def build(self) -> Any:
        """Return the method object."""
        from neurosparse.pruning import PRUNING

        return _configured(f"[pruning] {self.method}", PRUNING.get(self.method), self.model_extra)


class AdversarialConfig(BaseModel):
    """``[adversarial]``: train on adversarial pixels, by an objective of `neurosparse.training.objectives`."""

    model_config = ConfigDict(extra="allow", frozen=True)
    objective: str = "trades"

    def build(self) -> Any:
        """Return the objective."""
        from neurosparse.training.objectives import OBJECTIVES

        return _configured(f"[adversarial] {self.objective}", OBJECTIVES.get(self.objective), self.model_extra)


class QuantizationConfig(_Section):
    """``[quantization]``: train on in integers of `bits` bits, from what ``neurosparse finetune`` has put there."""

    bits: Annotated[int, Field(ge=1, le=8)] = 8


class TrainingConfig(_Section):
    """``[training]``: the optimizer and its schedule. `schedule` acts per step over the whole run.

    `dropout`: of hidden neurons, held over the sequence. `gradient_density`: of the gradients the optimizer sees, with
    error feedback. `patience`: epochs without a better validation accuracy after which training stops; the network of
    the best epoch is then the one that is deployed.
    `tbptt_steps` and `checkpoint_steps`: see `SparseSNN`. `snapshots`: how many networks to keep on the way, for the
    animation of the report.
    """

    epochs: Annotated[int, Field(ge=1)] = 20
    batch_size: Annotated[int, Field(ge=1)] = 128
    optimizer: Literal["adam", "adamw", "sgd"] = "adam"
    learning_rate: Annotated[float, Field(gt=0)] = 1e-2
    schedule: Literal["cosine", "constant"] = "cosine"
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    samples: Annotated[int, Field(ge=1)] | None = None
    engine: Literal["auto", "fused", "snntorch"] = "auto"
    dropout: Annotated[float, Field(gt=0, lt=1)] | None = None
    gradient_density: _Density | None = None
    patience: Annotated[int, Field(ge=1)] | None = None
    tbptt_steps: Annotated[int, Field(ge=1)] | None = None
    checkpoint_steps: Annotated[int, Field(ge=1)] | None = None
    snapshots: Annotated[int, Field(ge=1, le=100)] | None = None


class RunConfig(_Section):
    """A whole run."""

    seed: Annotated[int, Field(ge=0)] = 0
    data: DataConfig = Field(default_factory=DataConfig)
    network: NetworkConfig = Field(default_factory=NetworkConfig)
    method: MethodConfig = Field(default_factory=MethodConfig)
    pruning: PruningConfig | None = None
    quantization: QuantizationConfig | None = None
    training: TrainingConfig = Field(default_factory=TrainingConfig)
    regularizers: dict[str, dict[str, float]] | None = None
    adversarial: AdversarialConfig | None = None

    @model_validator(mode="before")
    @classmethod
    def _pruning_starts_dense(cls, content: Any) -> Any:
        """With ``[pruning]``, connections are dense and nothing rewires, unless the file says otherwise: see below."""
        if isinstance(content, dict) and content.get("pruning") is not None:
            content = {"method": {"name": "static"}, **content}
            if isinstance(content.get("network", {}), dict):
                content["network"] = {"connections": "dense", **content.get("network", {})}
        return content

    @model_validator(mode="after")
    def _consistent(self) -> RunConfig:
        n = len(self.network.hidden) + 1
        for key in ("density", "gain"):
            value = getattr(self.network, key)
            if isinstance(value, list) and len(value) != n:
                raise ValueError(f"network.{key}: {len(value)} values for {n} connections")
        if self.quantization is not None and (self.pruning is not None or self.network.connections == "dense"):
            raise ValueError("quantization: trains a sparse network in integers, not one that is dense or being pruned")
        if self.pruning is not None and (self.network.connections, self.method.name) != ("dense", "static"):
            raise ValueError(
                "pruning: starts from a dense network and chooses its synapses itself; leave out network.connections "
                f"and [method], got {self.network.connections!r} and {self.method.name!r}"
            )
        if self.pruning is not None and self.training.patience is not None:
            raise ValueError("training.patience: a pruning method plans for the whole training; leave one of them out")
        if self.network.connections == "dense" and self.method.name != "static":
            raise ValueError(
                f"method.name: {self.method.name!r} rewires sparse connections; a dense network needs 'static'"
            )
        return self

    @classmethod
    def load(cls, source: str | Path | Mapping[str, Any]) -> RunConfig:
        """Return the configuration in a TOML file, or in a mapping of the same shape.

        Raises `ArtifactError` if there is no readable file, `ValidationError` for a wrong key (with the near
        miss) or value.
        """
        label = "config"
        if isinstance(source, Mapping):
            content = dict(source)
        else:
            label = str(source)
            try:
                content = loads(Path(source).read_text(encoding="utf-8"))
            except (OSError, UnicodeDecodeError) as error:
                raise ArtifactError(f"{source}: cannot be read as a configuration ({error})") from error
            except ValueError as error:
                raise ArtifactError(f"{source}: is not TOML ({error})") from error
        try:
            config = cls.model_validate(content)
        except SchemaError as error:
            raise ValidationError("\n".join(f"{label}: {_explain(entry)}" for entry in error.errors())) from error
        config.method.build()
        for section in (config.pruning, config.adversarial):
            if section is not None:
                section.build()
        config.build_regularizers()
        config.build_augmentation()
        return config

    def build_regularizers(self) -> list[Any]:
        """Return the penalties of ``[regularizers]``."""
        if not self.regularizers:
            return []
        from neurosparse.training.regularizers import REGULARIZERS

        return [
            _configured(f"[regularizers] {name}", REGULARIZERS.get(name), options)
            for name, options in self.regularizers.items()
        ]

    def build_augmentation(self) -> Any:
        """Return the augmentation of ``[data.augmentation]``, or None."""
        if self.data.augmentation is None:
            return None
        from neurosparse.data.augmentation import RandomAffine

        return _configured("[data.augmentation]", RandomAffine, self.data.augmentation)

    def to_toml(self) -> str:
        """Return the fully resolved configuration as TOML; ``RunConfig.load`` of it gives this object again."""
        return tomli_w.dumps(_without_none(self.model_dump()))


_SECTIONS: dict[str, type[BaseModel]] = {
    "": RunConfig,
    "data": DataConfig,
    "network": NetworkConfig,
    "method": MethodConfig,
    "pruning": PruningConfig,
    "training": TrainingConfig,
    "adversarial": AdversarialConfig,
}


def _configured(section: str, cls: Any, options: Mapping[str, Any] | None) -> Any:
    """Return an object of the dataclass `cls`; a wrong option is an error that names the near miss."""
    known = [f.name for f in dataclasses.fields(cls)]
    for option in options or {}:
        if option not in known:
            raise UnknownNameError(section, option, known)
    return cls(**(options or {}))


def _explain(entry: Any) -> str:
    where = ".".join(str(part) for part in entry["loc"])
    if entry["type"] == "extra_forbidden":
        section, _, key = where.rpartition(".")
        known = list(_SECTIONS.get(section, RunConfig).model_fields)
        near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
        elsewhere = [
            name for name, model in _SECTIONS.items() if name and key in model.model_fields and name != section
        ]
        hint = f" Did you mean {near[0]!r}?" if near else f" It belongs into [{elsewhere[0]}]." if elsewhere else ""
        return f"{where}: unknown key.{hint} Known: {', '.join(known)}"
    if entry["type"] == "value_error":
        return str(entry["ctx"]["error"])
    return f"{where}: {entry['msg']}, got {entry['input']!r}"


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    return value
