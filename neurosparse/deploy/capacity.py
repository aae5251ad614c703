"""What does not fit: neurons that exceed a core all by themselves, and more cores than there are."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np

from neurosparse.deploy.chip import ChipSpec
from neurosparse.deploy.demand import Usage, core_sections, limits_of
from neurosparse.deploy.packing import Packing, pack, separate
from neurosparse.deploy.violation import Violation
from neurosparse.deploy.wiring import Connection, Wiring

__all__ = ["binding", "capacity_violations"]

_MAX_TRIED, _TRIES, _STEP = 3_000_000, 6, 0.85
_NAMES = {
    "neurons": "neurons",
    "synapse_bits": "bits of synapse memory",
    "in_axons": "in-axons",
    "out_axons": "out-axons",
    "decay_sets": "different decays",
    "threshold_sets": "different thresholds",
}


def binding(usage: Usage, limits: dict[str, int]) -> str:
    """Return the resource of which the largest share is used."""
    return max(limits, key=lambda name: usage[name] / limits[name])


def capacity_violations(
    packing: Packing, wiring: Wiring, chip: ChipSpec, chips: int, limits: dict[str, int]
) -> list[Violation]:
    """Return what `packing` needs beyond one core's limits, by population, and beyond the cores of `chips` chips."""
    found: dict[tuple[str, str], Violation] = {}
    counts: Counter[tuple[str, str]] = Counter()
    bound: Counter[str] = Counter()
    for slices in packing.cores:
        usage = packing.demand.usage(slices)
        bound[binding(usage, limits)] += 1
        for resource, limit in limits.items():
            if usage[resource] > limit:  # only a neuron alone on its core can be: fewer always fit
                name, (start, _) = next(iter(slices.items()))
                neuron = int(packing.demand.orders[name][start])
                counts[name, resource] += 1
                worst = found.get((name, resource))
                if worst is None or usage[resource] > int(worst.needed):
                    owner = f"population {name!r}, neuron {neuron}"
                    remedy = _for_neuron(resource, usage[resource], limit, name, wiring)
                    found[name, resource] = Violation(owner, resource, usage[resource], limit, remedy)
    listed = []
    for key, violation in found.items():
        more = f" ({counts[key]} neurons of it exceed this)" if counts[key] > 1 else ""
        listed.append(Violation(**{**vars(violation), "remedy": violation.remedy + more}))
    core, _ = core_sections(chip)
    if packing.n_cores > chips * core.cores.value:
        listed.append(_cores(packing, wiring, chip, chips, bound.most_common(1)[0][0]))
    return listed


def _for_neuron(resource: str, needed: int, limit: int, population: str, wiring: Wiring) -> str:
    if resource == "out_axons":
        return f"let it project to at most {limit} cores: fewer targets, or two neurons that share them"
    largest = max(int(c.fan_in().max(initial=0)) for c in wiring.into(population))
    density = max(c.n_synapses / ((c.indptr.size - 1) * c.n_source) for c in wiring.into(population))
    fits = largest * limit // needed
    text = (
        f"at most {fits} synapses per neuron fit (now {largest}), a density of {density * fits / largest:.2%} into it"
    )
    return f"{text}; or split its sources over populations that it sums"


def _cores(packing: Packing, wiring: Wiring, chip: ChipSpec, chips: int, resource: str) -> Violation:
    core, synapses = core_sections(chip)
    there = chips * core.cores.value
    share = there / packing.n_cores
    needed_chips = -(-packing.n_cores // core.cores.value)
    parts = Counter(name for slices in packing.cores for name in slices)
    by_population = ", ".join(f"{name} on {n}" for name, n in parts.items())
    advice = [f"{needed_chips} chips hold it"]
    if resource == "neurons":
        advice.append(f"or about {int(wiring.n_neurons * share)} neurons instead of {wiring.n_neurons}")
    elif resource not in ("decay_sets", "threshold_sets"):
        density = wiring.n_synapses / sum((c.indptr.size - 1) * c.n_source for c in wiring.connections)
        fits = _fitting_share(wiring, chip, there, share)
        if fits is not None:
            advice.append(f"or a density of {density * fits:.2%} instead of {density:.2%} (tried, evenly thinned)")
        else:
            advice.append(f"or roughly {share:.0%} of its neurons and synapses")
    widest = max((c.weight_bits for c in wiring.connections), default=0)
    if resource == "synapse_bits" and widest > synapses.weight_bits.value[0]:
        advice.append(f"or fewer bits per weight than {widest}")
    if resource in ("decay_sets", "threshold_sets"):
        advice.append(f"or fewer {_NAMES[resource]}: one per population is the usual case")
    limit = getattr(core, resource).value
    advice.append(f"most cores are full by {_NAMES[resource]} ({limit} per core); populations: {by_population}")
    return Violation("network", "cores", packing.n_cores, there, "; ".join([", ".join(advice[:-1]), advice[-1]]))


def _fitting_share(wiring: Wiring, chip: ChipSpec, there: int, first: float) -> float | None:
    """Return a share of the synapses that fits on the cores there are, by trying; None if none of a few does."""
    _, synapses = core_sections(chip)
    if wiring.n_synapses > _MAX_TRIED:
        return None
    orders = {name: np.arange(n) for name, n in wiring.sizes.items()}
    for i in range(_TRIES):
        share = first * _STEP**i
        thin = replace(wiring, connections=tuple(_thinned(c, share) for c in wiring.connections))
        if pack(thin, orders, synapses, limits_of(chip), separate).n_cores <= there:
            return share
    return None


def _thinned(c: Connection, share: float) -> Connection:
    # multiples of the golden ratio spread evenly (Knuth, TAOCP 3, 6.4), so that any part is thinned alike
    kept = (np.arange(c.n_synapses, dtype=np.uint64) * np.uint64(2654435769)) % np.uint64(1 << 32) < share * (1 << 32)
    indptr = np.concatenate([[0], np.cumsum(kept)])[c.indptr]
    return replace(c, indptr=indptr, indices=c.indices[kept])
