"""What `methods_on_mnist.py` trains: every registered method, the options it is given and those it may choose from.

Not a script. At most four tuning runs a method, at 2 % of the synapses, but for the three that were there before.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

EVERY = 20  # optimizer steps between two events, for methods that have events


@dataclass(frozen=True)
class Entry:
    """A row of the table.

    `method`: its name in the registry, where the row has another one. `options` of the method are given, `choices`
    ("section.key") are chosen from. `start`: density at the start / density at the end. `knob`: of a method whose
    density is a result, the option that it follows from, and the values tried.
    """

    options: dict[str, Any] = field(default_factory=dict)
    choices: dict[str, list[Any]] = field(default_factory=dict)
    start: float = 1.0
    method: str | None = None
    knob: tuple[str, list[Any]] | None = None


_ALPHAS = [1e-2, 3e-2, 1e-1]
_STATES = ["age_corrected", "layer_mean"]
_RATES = [3e-3, 1e-2, 2e-2]
_HIGH = [1e-2, 2e-2]
_RATE = "training.learning_rate"

SPARSE = {
    "static": Entry(choices={_RATE: [1e-2, 2e-2, 3e-2]}),
    "deep_r": Entry(choices={"method.alpha": _ALPHAS, "method.optimizer_state": _STATES}),
    "deep_r_global": Entry({"optimizer_state": "layer_mean"}, {"method.alpha": _ALPHAS}),
    "deep_r_mlgenn": Entry(choices={"method.strength": [1e-4, 1e-3, 1e-2, 1e-1]}),
    "bayesian_connectivity": Entry(choices={"method.weight_decay": [5e-4, 1e-2, 1e-1, 5e-1]}),
    "deep_r_rigl": Entry({"every": EVERY}, {"method.alpha": _ALPHAS}),
    "rigl": Entry({"every": EVERY}, {"method.fraction": [0.1, 0.3, 0.5]}),
    "esl_snn": Entry({"every": EVERY}, {"method.growth": ["gradient", "random"], "method.fraction": [0.1, 0.3]}),
    "set": Entry(
        choices={"method.every": [EVERY, "epoch"], "method.zeta": [0.05, 0.3], "method.birth_std": [0.0, 0.1]}
    ),
    "dsr": Entry({"every": EVERY}, {"method.fraction": [0.02, 0.05, 0.1]}),
    "ndsnn": Entry({"every": EVERY, "final": 0.25}, {"method.fraction": [0.1, 0.3]}, start=4.0),
}
"""Never a dense matrix."""

DENSE = {
    "gradual_magnitude": Entry(choices={_RATE: _RATES}),
    "dpf": Entry(choices={_RATE: [3e-3, 1e-2], "pruning.end": [0.5, 0.75]}),
    "dnw": Entry(choices={_RATE: _RATES}),
    "sparse_momentum": Entry({"every": EVERY}, {_RATE: _HIGH, "pruning.fraction": [0.2, 0.5]}),
    "iterative_hard_thresholding": Entry(choices={_RATE: _HIGH, "pruning.n_rounds": [2, 4]}),
    "learning_compression": Entry(choices={_RATE: [3e-3, 1e-2], "pruning.mu": [1e-3, 1e-2]}),
    "lottery_ticket": Entry(choices={_RATE: _HIGH, "pruning.n_rounds": [1, 3]}),
    "one_shot": Entry(choices={_RATE: _HIGH, "pruning.at": [0.25, 0.5]}),
    "one_shot_global": Entry(
        {"scope": "global", "at": 0.25}, {_RATE: _HIGH, "pruning.normalise": [False, True]}, method="one_shot"
    ),
    "one_shot_alone": Entry({"at": 1.0}, {_RATE: [1e-3, *_RATES]}, method="one_shot"),
    "dense_sparse_dense": Entry({"density": 0.7}, {_RATE: [1e-3, *_RATES]}),
    "dense": Entry(choices={_RATE: [1e-3, 3e-3, 1e-2]}),
}
"""Dense while they train, at a density that is set; the last two stay dense."""

EMERGENT = {
    "grad_r": Entry({"density": 0.05}, choices={_RATE: _HIGH}, knob=("pruning.alpha", [0.07, 0.1, 0.2, 0.3])),
    "soft_deep_r": Entry(
        {"density": 0.05, "temperature": 1e-5}, {_RATE: _HIGH}, knob=("pruning.alpha", [0.1, 0.2, 0.35, 0.5])
    ),
    "stds": Entry(choices={_RATE: _HIGH}, knob=("pruning.threshold", [0.2, 0.3, 0.45, 0.7])),
    "upr": Entry({"gate_rate": 1e-2}, {_RATE: _HIGH}, knob=("pruning.penalty", [1e-5, 3e-5, 1e-4, 2e-4])),
    "autoprune": Entry(choices={_RATE: _HIGH}, knob=("pruning.floor", [0.01])),
    "lprune": Entry(choices={_RATE: _HIGH}, knob=("pruning.floor", [0.01])),
}
"""Dense while they train, at a density that nobody sets."""

STRUCTURED = ("neurons", "small_dense")
"""Not in a registry: see `methods_neurons.py`."""

ENTRIES = SPARSE | DENSE | EMERGENT
STAYS_DENSE = ("dense", "dense_sparse_dense")

NOT_IN_THE_TABLE: dict[str, str] = {}
"""Registered methods that are left out, with the reason."""


def registered_name(name: str) -> str:
    """The method behind a row of the table."""
    return ENTRIES[name].method or name
