"""`ChipSpec`: what a chip can hold and what is published about its cost, as data from ``hardware/<name>.toml``.

Three kinds of chips: many cores that hold any network (Loihi: placed by `neurosparse.deploy.placement`), one array of
recurrent neurons (Xylo) and cores for convolutional layers (Speck); of the last two there are limits only. A number
without a source is refused, and an estimate says that it is one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic import ValidationError as SchemaError

from neurosparse.core.hardware import hardware_paths
from neurosparse.core.inputs import InputKind
from neurosparse.core.neurons import Reset
from neurosparse.core.toml import loads
from neurosparse.errors import ArtifactError, UnknownNameError, ValidationError

__all__ = ["ArrayLimits", "ChipSpec", "CoreLimits", "EnergyModel", "LayerLimits", "Stated", "Synapses", "Timing"]

_MAX_FILE = 1 << 20
_Count = Annotated[int, Field(ge=1, lt=2**31)]
_Bits = Annotated[int, Field(ge=0, le=64)]
_Positive = Annotated[float, Field(gt=0, lt=1e9)]
T = TypeVar("T")


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Stated(_Section, Generic[T]):
    """A value with the key of its source in ``[sources]``, and whether it is an estimate."""

    value: T
    source: str
    estimate: bool = False


class CoreLimits(_Section):
    """``[core]``: how many cores a chip has, and what each holds; None is no limit.

    ``decay_sets`` and ``threshold_sets`` are how many different decays and thresholds the neurons of a core may have.
    """

    cores: Stated[_Count]
    neurons: Stated[_Count]
    synapse_bits: Stated[_Count]
    in_axons: Stated[_Count]
    out_axons: Stated[_Count]
    decay_sets: Stated[_Count] | None = None
    threshold_sets: Stated[_Count] | None = None


class Synapses(_Section):
    """``[synapses]``: how a core stores the synapses of one in-axon (`neurosparse.deploy.axons`)."""

    weight_bits: Stated[list[_Bits]]
    index_bits: Stated[list[_Bits]]
    tag_bits: Stated[_Bits]
    list_length: Stated[_Count]
    header_bits: Stated[_Bits]
    word_bits: Stated[_Count]
    max_delay: Stated[Annotated[int, Field(ge=0, le=1 << 16)]]

    @model_validator(mode="after")
    def _in_order(self) -> Synapses:
        for name in ("weight_bits", "index_bits"):
            values = getattr(self, name).value
            if not values or sorted(set(values)) != values:
                raise ValueError(f"{name}: must be increasing and not empty, got {values}")
        return self


class ArrayLimits(_Section):
    """``[array]``: one array of recurrent neurons between inputs and outputs (Xylo).

    ``fan_out`` is of a hidden neuron onto hidden neurons; ``input_targets`` and ``output_sources`` are how many hidden
    neurons may be fed by the input, or feed the output.
    """

    inputs: Stated[_Count]
    hidden: Stated[_Count]
    outputs: Stated[_Count]
    fan_out: Stated[_Count]
    input_targets: Stated[_Count] | None = None
    output_sources: Stated[_Count] | None = None
    synaptic_states: Stated[_Count]


class LayerLimits(_Section):
    """``[layers]``: cores of different size that hold one convolutional layer each (Speck)."""

    kernel_words: Stated[list[_Count]]
    neuron_words: Stated[list[_Count]]
    channels: Stated[_Count]
    fan_out: Stated[_Count]

    @model_validator(mode="after")
    def _same_cores(self) -> LayerLimits:
        if len(self.kernel_words.value) != len(self.neuron_words.value) or not self.kernel_words.value:
            raise ValueError("neuron_words: must have one value per core, as kernel_words has")
        return self


class Behaviour(_Section):
    """``[behaviour]``: which neurons, resets and inputs the chip has.

    ``decay``: ``"any"``, ``"bit_shift"`` (1 - 2**-k) or ``"none"`` (integrate-and-fire).
    """

    models: Stated[list[Literal["LIF", "CubaLIF", "LI"]]]
    resets: Stated[list[Reset]]
    inputs: Stated[list[InputKind]]
    decay: Stated[Literal["any", "bit_shift", "none"]] | None = None
    weight_bits: Stated[_Bits] | None = None


class EnergyModel(_Section):
    """``[energy.NAME]``: published energies per event in picojoules; None is not part of this model."""

    source: str
    synaptic_operation_pj: _Positive
    neuron_update_pj: _Positive
    spike_pj: _Positive | None = None
    message_pj: _Positive | None = None


class Timing(_Section):
    """``[timing]``: published times per event, and the range of the synchronisation that ends a step."""

    source: str
    synchronisation_us: Annotated[list[_Positive], Field(min_length=2, max_length=2)]
    synaptic_operation_ns: _Positive
    neuron_update_ns: _Positive
    spike_ns: _Positive


class ChipSpec(_Section):
    """The limits of a chip, each with its source.

    Load one that travels with the package, or your own file (``hardware/README.md`` says how to write one).

    Examples
    --------
    >>> chip = ChipSpec.load("loihi1")
    >>> chip.title, chip.core.neurons.value
    ('Intel Loihi 1', 1024)
    >>> [name for name, limit in chip.limits().items() if limit.estimate]
    []
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9_]+$", max_length=60)]
    title: str
    kind: Literal["cores", "recurrent", "convolutional"]
    notes: list[str] = Field(default_factory=list)
    sources: dict[str, Annotated[str, Field(min_length=8)]]
    core: CoreLimits | None = None
    synapses: Synapses | None = None
    array: ArrayLimits | None = None
    layers: LayerLimits | None = None
    behaviour: Behaviour
    energy: dict[str, EnergyModel] = Field(default_factory=dict)
    timing: Timing | None = None

    @model_validator(mode="after")
    def _complete(self) -> ChipSpec:
        needed = {"cores": ("core", "synapses"), "recurrent": ("array",), "convolutional": ("layers",)}
        for section in ("core", "synapses", "array", "layers"):
            there, due = getattr(self, section) is not None, section in needed[self.kind]
            if there != due:
                wanted = " and ".join(f"[{name}]" for name in needed[self.kind])
                raise ValueError(f"a chip of kind {self.kind!r} has {wanted}; [{section}] is {_MISSING[there]}")
        if self.core is not None and self.synapses is not None:
            largest = 1 << self.synapses.index_bits.value[-1]
            if largest < self.core.neurons.value:
                raise ValueError(f"synapses.index_bits: reach {largest} neurons, a core has {self.core.neurons.value}")
        used = {
            **{name: limit.source for name, limit in self.limits().items()},
            **{f"energy.{name}": model.source for name, model in self.energy.items()},
            **({"timing": self.timing.source} if self.timing is not None else {}),
        }
        for name, source in used.items():
            if source not in self.sources:
                raise ValueError(f"{name}: source {source!r} is not in [sources], which has {', '.join(self.sources)}")
        return self

    @classmethod
    def load(cls, chip: str | Path) -> ChipSpec:
        """Return the chip called `chip`, or described by the TOML file `chip`.

        Raises
        ------
        UnknownNameError
            If no such chip travels with the package.
        ArtifactError, ValidationError
            If the file cannot be read, or a field of it is missing, unknown or wrong.
        """
        path = Path(chip)
        if path.suffix != ".toml":
            known = {file.stem: file for folder in reversed(hardware_paths()) for file in folder.glob("*.toml")}
            if str(chip) not in known:
                raise UnknownNameError("chip", str(chip), known)
            path = known[str(chip)]
        return cls._read(path)

    @classmethod
    def _read(cls, path: Path) -> ChipSpec:
        try:
            if path.stat().st_size > _MAX_FILE:
                raise ArtifactError(f"{path}: a chip file has at most {_MAX_FILE} bytes, got {path.stat().st_size}")
            content = loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise ArtifactError(f"{path}: cannot be read ({error.strerror or error})") from error
        except ValueError as error:  # of TOML, and of UTF-8
            raise ArtifactError(f"{path}: no TOML: {error}") from error
        try:
            return cls.model_validate(content)
        except SchemaError as error:
            raise ValidationError(f"{path.name}: {_explain(error)}") from error

    def limits(self) -> dict[str, Stated[Any]]:
        """Return every stated limit by its name in the file, such as ``"core.neurons"``."""
        found = {}
        for section in ("core", "synapses", "array", "layers", "behaviour"):
            fields = getattr(self, section)
            for name in type(fields).model_fields if fields is not None else ():
                if getattr(fields, name) is not None:
                    found[f"{section}.{name}"] = getattr(fields, name)
        return found

    def source_of(self, limit: Stated[Any] | EnergyModel | Timing) -> str:
        """Return the source of a limit in full, with a warning before an estimate."""
        text = self.sources[limit.source]
        return f"estimate: {text}" if getattr(limit, "estimate", False) else text

    def __repr__(self) -> str:
        estimates = sum(limit.estimate for limit in self.limits().values())
        return f"ChipSpec({self.title}: {len(self.limits())} limits, {estimates} of them estimates)"

    __str__ = __repr__


_MISSING = {True: "not for it", False: "missing"}


def _explain(error: SchemaError) -> str:
    lines = []
    for found in error.errors()[:5]:
        where = ".".join(str(part) for part in found["loc"]) or "file"
        given = "" if found["type"] in ("missing", "value_error") else f", got {str(found['input'])[:60]!r}"
        lines.append(f"{where}: {found['msg'].removeprefix('Value error, ')}{given}")
    return "; ".join(lines)
