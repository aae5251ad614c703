"""Tiny networks that every backend must run exactly as the reference, each made for one thing engines get wrong."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurosparse.core.grid import cast, snap_to_grid
from neurosparse.core.network import INPUT, Input, Network, Population, Projection
from neurosparse.core.neurons import LI, LIF, CubaLIF
from neurosparse.core.rng import stream

N_STEPS, N_SAMPLES = 24, 3


@dataclass(frozen=True)
class Case:
    """A network on an exact grid and its input (time, batch, n)."""

    name: str
    network: Network
    inputs: NDArray[Any]


_CASES: dict[str, Callable[[np.random.Generator], tuple[Network, NDArray[Any]]]] = {}


def _case(build: Callable[[np.random.Generator], tuple[Network, NDArray[Any]]]) -> Callable[..., Any]:
    _CASES[build.__name__] = build
    return build


def case_names() -> list[str]:
    return list(_CASES)


def make_case(name: str, dtype: str) -> Case:
    network, inputs = _CASES[name](stream(7, "contract", name))
    return Case(name, snap_to_grid(cast(network, dtype))[0], inputs)


def merge(cases: Sequence[Case]) -> Case:
    """Return one network with all cases side by side and no synapse between them; populations are ``case.population``.

    For engines that take long to start: one start for all cases. Spikes and payloads side by side are an analog input.
    """
    kinds = {case.network.input.kind for case in cases}
    populations, projections, lines = [], [], 0
    for case in cases:
        n = case.network.input.n
        populations += [dataclasses.replace(p, name=f"{case.name}.{p.name}") for p in case.network.populations]
        for p in case.network.projections:
            source = f"{case.name}.{p.source}"
            if p.source == INPUT:
                source, shift = INPUT, lines
            else:
                shift = 0
            projections.append(
                dataclasses.replace(
                    p,
                    source=source,
                    target=f"{case.name}.{p.target}",
                    indices=p.indices + shift,
                    n_source=p.n_source if source != INPUT else sum(c.network.input.n for c in cases),
                )
            )
        lines += n
    kind = kinds.pop() if len(kinds) == 1 else "analog"
    values = [
        case.inputs if kind != "analog" else case.network.input.values(case.inputs, case.network.dtype)
        for case in cases
    ]
    return Case("merged", Network(Input(lines, kind), populations, projections), np.concatenate(values, axis=2))


def _weights(
    rng: np.random.Generator, n_target: int, n_source: int, density: float = 0.5, mean: float = 0.3
) -> NDArray[Any]:
    """Return random float64 weights (n_target, n_source), large enough that a few spikes make another one."""
    mask = rng.random((n_target, n_source)) < density
    return mask * rng.normal(mean, 0.8, mask.shape)


def _dense(
    rng: np.random.Generator, source: str, target: str, n_target: int, n_source: int, delay: int = 0, **how: Any
) -> Projection:
    return Projection.from_dense(source, target, _weights(rng, n_target, n_source, **how), delay=delay)


def _spikes(rng: np.random.Generator, n: int, rate: float = 0.4) -> NDArray[Any]:
    return rng.random((N_STEPS, N_SAMPLES, n)) < rate


@_case
def one_neuron(rng: np.random.Generator) -> tuple[Network, NDArray[Any]]:
    projection = Projection.from_dense(INPUT, "n", [[0.7]])
    return Network(Input(1), [Population("n", 1, LIF(beta=0.9))], [projection]), _spikes(rng, 1, 0.6)


@_case
def chain(rng: np.random.Generator) -> tuple[Network, NDArray[Any]]:
    sizes = [6, 8, 7, 5]
    names = [INPUT, "a", "b", "c"]
    projections = [_dense(rng, names[k], names[k + 1], sizes[k + 1], sizes[k]) for k in range(3)]
    return Network(
        Input(6), [Population(n, s, LIF(beta=0.8)) for n, s in zip(names[1:], sizes[1:], strict=True)], projections
    ), _spikes(rng, 6)


@_case
def one_neuron_layers(rng: np.random.Generator) -> tuple[Network, NDArray[Any]]:
    names = [INPUT, "a", "b", "c", "d"]
    projections = [Projection.from_dense(names[k], names[k + 1], [[1.25]]) for k in range(4)]
    return Network(Input(1), [Population(n, 1, LIF(beta=0.5)) for n in names[1:]], projections), _spikes(rng, 1, 0.7)


@_case
def fan_in(rng: np.random.Generator) -> tuple[Network, NDArray[Any]]:
    # two paths of different length meet: the short one must wait in an engine that takes a step per hop
    projections = [
        _dense(rng, INPUT, "a", 6, 5),
        _dense(rng, "a", "b", 6, 6),
        _dense(rng, "a", "out", 4, 6),
        _dense(rng, "b", "out", 4, 6),
        _dense(rng, INPUT, "out", 4, 5),
    ]
    return Network(
        Input(5), [Population("a", 6, LIF()), Population("b", 6, LIF()), Population("out", 4, LIF())], projections
    ), _spikes(rng, 5)


@_case
def recurrent(rng: np.random.Generator) -> tuple[Network, NDArray[Any]]:
    projections = [
        _dense(rng, INPUT, "a", 8, 4),
        _dense(rng, "a", "a", 8, 8, delay=1, mean=-0.1),
        _dense(rng, "a", "b", 5, 8),
    ]
    return Network(Input(4), [Population("a", 8, LIF()), Population("b", 5, LIF())], projections), _spikes(rng, 4)


@_case
def delay_3(rng: np.random.Generator) -> tuple[Network, NDArray[Any]]:
    projections = [
        _dense(rng, INPUT, "a", 6, 4, delay=3),
        _dense(rng, "a", "b", 5, 6, delay=3),
        _dense(rng, "a", "b", 5, 6),
        _dense(rng, "b", "b", 5, 5, delay=3, mean=-0.1),
    ]
    return Network(Input(4), [Population("a", 6, LIF()), Population("b", 5, LIF())], projections), _spikes(rng, 4)


@_case
def graded_input(rng: np.random.Generator) -> tuple[Network, NDArray[Any]]:
    projections = [_dense(rng, INPUT, "a", 8, 6, mean=0.5), _dense(rng, "a", "b", 5, 8)]
    network = Network(Input(6, "graded"), [Population("a", 8, LIF()), Population("b", 5, LIF())], projections)
    constant = np.broadcast_to(rng.integers(0, 256, (1, N_SAMPLES, 6), dtype=np.uint8), (N_STEPS, N_SAMPLES, 6)).copy()
    constant[:, :, :2] = rng.integers(0, 256, (N_STEPS, N_SAMPLES, 2))  # two lines that change, with zeros among them
    return network, constant


@_case
def biases(rng: np.random.Generator) -> tuple[Network, NDArray[Any]]:
    # A bias acts from step 0 of every layer on. In an engine that lags one step per layer it would start too early.
    populations = [
        Population("a", 5, LIF(bias=rng.normal(0.2, 0.1, 5))),
        Population("b", 5, CubaLIF(alpha=0.5, bias=rng.normal(0.1, 0.1, 5), reset="zero")),
        Population("c", 4, LIF(bias=0.3)),
    ]
    projections = [_dense(rng, INPUT, "a", 5, 3), _dense(rng, "a", "b", 5, 5), _dense(rng, "b", "c", 4, 5)]
    return Network(Input(3), populations, projections), _spikes(rng, 3, 0.2)


@_case
def empty_projection(rng: np.random.Generator) -> tuple[Network, NDArray[Any]]:
    projections = [
        _dense(rng, INPUT, "a", 5, 4),
        Projection.from_dense("a", "b", np.zeros((3, 5))),
        Projection.from_dense(INPUT, "c", np.zeros((2, 4))),
    ]
    populations = [Population("a", 5, LIF()), Population("b", 3, LIF(bias=0.25)), Population("c", 2, LIF())]
    return Network(Input(4), populations, projections), _spikes(rng, 4)


@_case
def no_synapse_at_all(rng: np.random.Generator) -> tuple[Network, NDArray[Any]]:
    populations = [Population("a", 2, LIF(bias=[0.25, 0.4])), Population("b", 1, LI(beta=0.5, bias=1.0))]
    return Network(Input(2), populations, [Projection.from_dense(INPUT, "a", np.zeros((2, 2)))]), _spikes(rng, 2)


@_case
def synapse_of_weight_zero(rng: np.random.Generator) -> tuple[Network, NDArray[Any]]:
    projection = Projection(INPUT, "a", np.array([0, 2, 3]), np.array([0, 1, 1]), np.array([0.0, 1.5, 0.75]), 2)
    return Network(Input(2), [Population("a", 2, LIF())], [projection]), _spikes(rng, 2)


@_case
def threshold_touched(rng: np.random.Generator) -> tuple[Network, NDArray[Any]]:
    # Without decay and with weights 1/4 and 1/2, voltages hit the threshold 1 exactly, and > must not be >=.
    populations = [
        Population("sub", 1, LIF(beta=1.0, reset="subtract")),
        Population("zero", 1, LIF(beta=1.0, reset="zero")),
        Population("cuba", 1, CubaLIF(alpha=0.0, beta=1.0)),
    ]
    projections = [Projection.from_dense(INPUT, p.name, [[0.25, 0.5]]) for p in populations]
    return Network(Input(2), populations, projections), _spikes(rng, 2, 0.5)


def _reset_case(reset: str) -> Callable[[np.random.Generator], tuple[Network, NDArray[Any]]]:
    def build(rng: np.random.Generator) -> tuple[Network, NDArray[Any]]:
        projections = [_dense(rng, INPUT, "a", 6, 4, mean=0.6), _dense(rng, "a", "b", 5, 6)]
        populations = [Population("a", 6, LIF(beta=0.95, reset=reset)), Population("b", 5, LIF(beta=0.7, reset=reset))]
        return Network(Input(4), populations, projections), _spikes(rng, 4, 0.5)

    build.__name__ = f"reset_{reset}"
    return build


for _reset in ("subtract", "zero", "none"):
    _case(_reset_case(_reset))


@_case
def li_readout(rng: np.random.Generator) -> tuple[Network, NDArray[Any]]:
    projections = [_dense(rng, INPUT, "a", 8, 5), _dense(rng, "a", "out", 3, 8, mean=0.0)]
    return Network(
        Input(5), [Population("a", 8, LIF()), Population("out", 3, LI(beta=0.9, bias=0.125))], projections
    ), _spikes(rng, 5)


@_case
def inputs_at_every_step(rng: np.random.Generator) -> tuple[Network, NDArray[Any]]:
    projections = [_dense(rng, INPUT, "a", 5, 3, density=0.9, mean=0.2), _dense(rng, "a", "b", 4, 5)]
    return Network(Input(3), [Population("a", 5, LIF()), Population("b", 4, LIF())], projections), np.ones(
        (N_STEPS, N_SAMPLES, 3), bool
    )


@_case
def an_input_that_never_spikes(rng: np.random.Generator) -> tuple[Network, NDArray[Any]]:
    inputs = _spikes(rng, 4)
    inputs[:, :, 2] = False
    inputs[:, 1, :] = False  # nor does any line of the second sample
    return Network(Input(4), [Population("a", 5, LIF())], [_dense(rng, INPUT, "a", 5, 4, density=1.0)]), inputs


@_case
def current_based(rng: np.random.Generator) -> tuple[Network, NDArray[Any]]:
    populations = [
        Population(reset, 4, CubaLIF(alpha=0.6, beta=0.8, reset=reset)) for reset in ("subtract", "zero", "none")
    ]
    projections = [_dense(rng, INPUT, p.name, 4, 5) for p in populations]
    projections.append(_dense(rng, "subtract", "subtract", 4, 4, delay=1, mean=-0.1))
    return Network(Input(5), populations, projections), _spikes(rng, 5)


@_case
def a_parameter_for_every_neuron(rng: np.random.Generator) -> tuple[Network, NDArray[Any]]:
    beta, threshold = rng.uniform(0, 1, 6), rng.uniform(0.3, 1.5, 6)
    beta[:2] = 0.0, 1.0
    populations = [
        Population("lif", 6, LIF(beta, threshold, bias=rng.normal(0, 0.1, 6))),
        Population("cuba", 6, CubaLIF(beta[::-1].copy(), beta, threshold, reset="zero")),
    ]
    return Network(Input(4), populations, [_dense(rng, INPUT, "lif", 6, 4), _dense(rng, "lif", "cuba", 6, 6)]), _spikes(
        rng, 4
    )


@_case
def loop_shorter_than_its_hops(rng: np.random.Generator) -> tuple[Network, NDArray[Any]]:
    # a -> b in the same step, b -> a in the next: no engine that takes a step per hop can do that
    projections = [
        _dense(rng, INPUT, "a", 5, 4),
        _dense(rng, "a", "b", 4, 5),
        _dense(rng, "b", "a", 5, 4, delay=1, mean=-0.1),
    ]
    return Network(Input(4), [Population("a", 5, LIF()), Population("b", 4, LIF())], projections), _spikes(rng, 4)


@_case
def loop_as_long_as_its_hops(rng: np.random.Generator) -> tuple[Network, NDArray[Any]]:
    projections = [
        _dense(rng, INPUT, "a", 5, 4),
        _dense(rng, "a", "b", 4, 5),
        _dense(rng, "b", "a", 5, 4, delay=2, mean=-0.1),
    ]
    return Network(Input(4), [Population("a", 5, LIF()), Population("b", 4, LIF())], projections), _spikes(rng, 4)
