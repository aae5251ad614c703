"""What a measurement should show, and whether it does: every target with its figure, computed from the raw times."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from neurosparse.benchmarks import choice, layer_step, simulation, training_step
from neurosparse.benchmarks.rounds import best, ratio

__all__ = ["Target", "targets"]

AGAINST_SNNTORCH = {0.1: 10.0, 0.05: 15.0, 0.01: 30.0}
AGAINST_BEST = {0.1: 3.5, 0.05: 5.0, 0.01: 8.0, 0.2: 1.0, 0.5: 1.0, 1.0: 1.0}
AGAINST_SIMULATORS = {simulation.BRIAN2: 10.0, simulation.LAVA: 100.0}
TRAINING_AT_5_PERCENT, REWIRING_SHARE, SLOPE_RATIO = 12.0, 0.15, 1.3
CHOICE_LOSS = 1.1  # "never slower", and what two processes of the same code differ by on a shared machine


@dataclass(frozen=True)
class Target:
    """One line of the table: `what`, what is `wanted` of it, what was `measured`, and whether that `holds`."""

    what: str
    wanted: str
    measured: str
    holds: bool


def targets(results: Mapping[str, Any]) -> list[Target]:
    """Return the targets that `results` (of `suite.run`) say something about.

    The layer step is judged twice: called alone, with the user's tensors in and out, and inside a network, where spikes
    are bits on both sides.
    """
    found: list[Target] = []
    for name, judge in _JUDGES.items():
        if name in results:
            found += judge(results[name])
    return found


def _layer_step(part: Mapping[str, Any]) -> Iterator[Target]:
    ways = {layer_step.OURS: "layer step", layer_step.INSIDE: "layer step inside a network"}
    for us, name in ways.items():
        for row in part["rows"]:
            if row["density"] in AGAINST_SNNTORCH:
                what = f"{name}, {100 * row['density']:g} %, against snnTorch"
                speed_up = ratio(row["times"], layer_step.SNNTORCH, us)
                yield _at_least(what, AGAINST_SNNTORCH[row["density"]], speed_up)
    for us, name in ways.items():
        for row in part["rows"]:
            if row["density"] in AGAINST_BEST:
                peer = best(row["times"], [one for one in row["times"] if one not in ways])
                what = f"{name}, {100 * row['density']:g} %, against the best peer ({peer})"
                yield _at_least(what, AGAINST_BEST[row["density"]], ratio(row["times"], peer, us))


def _training_step(part: Mapping[str, Any]) -> Iterator[Target]:
    for row in part["rows"]:
        if row["density"] == 0.05:
            speed_up = ratio(row["times"], training_step.SNNTORCH, training_step.OURS)
            yield _at_least("training step at 5 %, against dense snnTorch", TRAINING_AT_5_PERCENT, speed_up)
            share = row["facts"][training_step.OURS]["rewiring_share"]
            what = "rewiring's share of that step"
            yield Target(what, f"at most {100 * REWIRING_SHARE:g} %", f"{100 * share:.1f} %", share <= REWIRING_SHARE)


def _simulation(part: Mapping[str, Any]) -> Iterator[Target]:
    for peer, wanted in AGAINST_SIMULATORS.items():
        if peer in part["times"]:
            what = f"simulating one sample, against {peer}"
            yield _at_least(what, wanted, ratio(part["times"], peer, simulation.OURS))


def _large_layer(part: Mapping[str, Any]) -> Iterator[Target]:
    s = part["settings"]
    what = f"training {s['n']} x {s['n']} with {s['n_synapses']} synapses in {s['address_space'] / 1e9:.0f} GB"
    passed = bool(part["passed"])
    measured = f"peak {part['facts']['peak_rss'] / 1e6:.0f} MB resident" if passed else "failed"
    yield Target(what, "passes", measured, passed)


def _growth(part: Mapping[str, Any]) -> Iterator[Target]:
    for name in ("synapses", "lanes"):
        sizes, found = part[name]["sizes"], part[name]["slope_ratio"]
        what = f"growth with {name}, {sizes[0]} to {sizes[-1]}: ratio of slopes"
        yield Target(what, f"within {SLOPE_RATIO}", f"{found:.2f}", 1 / SLOPE_RATIO <= found <= SLOPE_RATIO)


def _choice(part: Mapping[str, Any]) -> Iterator[Target]:
    worst = max(choice.loss(row) for row in part["rows"])
    what = "the engine's choice, time over that of the best of its three methods, worst case"
    yield Target(what, f"at most {CHOICE_LOSS:g}", f"{worst:.2f}", worst <= CHOICE_LOSS)


_JUDGES = {
    "layer_step": _layer_step,
    "training_step": _training_step,
    "simulation": _simulation,
    "large_layer": _large_layer,
    "growth": _growth,
    "choice": _choice,
}


def _at_least(what: str, wanted: float, measured: float) -> Target:
    return Target(what, f"at least {wanted:g}x", f"{measured:.1f}x", measured >= wanted)
