"""The figures of a report, section by section; each is left out where its data are not there."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurosparse.analysis import plots
from neurosparse.analysis.animation import rewiring_gif
from neurosparse.analysis.comparison import Simulation, output_of
from neurosparse.analysis.deployments import Deployed
from neurosparse.analysis.lifetimes import history_of
from neurosparse.analysis.metrics import possible_synapses
from neurosparse.analysis.overlay import mismatches
from neurosparse.analysis.pages import data_uri
from neurosparse.analysis.palette import new_axes, png
from neurosparse.analysis.rasters import Rasters
from neurosparse.analysis.summary import Example, count, same_projection
from neurosparse.core.container import write_atomically
from neurosparse.core.network import INPUT, Network, is_readout
from neurosparse.core.projection import Projection

__all__ = [
    "Page",
    "add_activity",
    "add_animation",
    "add_chips",
    "add_costs",
    "add_engines",
    "add_rewiring",
    "add_training",
    "add_wiring",
]

Metrics = list[dict[str, Any]]


@dataclass
class Page:
    """What the template shows of figures: (caption, data URI) by section."""

    run: Path
    network: Network | None
    figures: dict[str, list[tuple[str, str]]] = field(default_factory=dict)

    def add(self, section: str, name: str, caption: str, ax: Any) -> None:
        """Write the figure of `ax` to ``figures/<name>.png`` and put it into `section`."""
        self.add_file(section, f"{name}.png", caption, png(ax.figure))

    def add_file(self, section: str, name: str, caption: str, content: bytes) -> None:
        """Write the image `content` to ``figures/<name>`` and put it into `section`."""
        write_atomically(self.run / "figures" / name, content)
        self.figures.setdefault(section, []).append((caption, data_uri(name.rpartition(".")[2], content)))


def add_training(page: Page, metrics: Metrics) -> None:
    """Accuracy and loss; rates and silent neurons among the activity."""
    network = page.network
    spiking = [p.name for p in network.populations if not is_readout(p)] if network else None
    caption = "Accuracy on the training and on the validation split."
    page.add("training", "accuracy", caption, plots.accuracy(metrics, ax=_axes()))
    page.add("training", "loss", "Mean training loss of each epoch.", plots.loss(metrics, ax=_axes()))
    if any(row.get("rates") for row in metrics):
        ax = plots.firing_rates(metrics, spiking, ax=_axes())
        page.add("activity", "firing_rates", "Mean firing rate of each population while training.", ax)
    if any(row.get("silent") for row in metrics):
        ax = plots.silent_neurons(metrics, spiking, ax=_axes())
        page.add("activity", "silent_neurons", "Neurons that did not spike once in a training epoch.", ax)


def add_rewiring(page: Page, metrics: Metrics) -> None:
    """Turnover and density; sites visited, lifetimes and ages where the run has counted them."""
    possible = possible_synapses(page.network) if page.network else None
    caption = "Turnover: synapses that died, and that were born at another site, per epoch."
    page.add("rewiring", "turnover", caption, plots.turnover(metrics, ax=_axes()))
    caption = "Density: how many of the possible synapses exist."
    page.add("rewiring", "density", caption, plots.density(metrics, possible, ax=_axes()))
    history = history_of(metrics)
    if not any(found["deaths"] for found in history.values()):
        return
    caption = "How much was tried: the sites that have held a synapse at some time."
    page.add("rewiring", "visited_sites", caption, plots.visited_sites(metrics, ax=_axes()))
    caption = "How long the synapses that died had lived. Most newborns fail at once; those that prove useful stay."
    page.add("rewiring", "lifetimes", caption, plots.lifetimes(metrics, ax=_axes()))
    caption = "How old the synapses are that live at the end. On the far right: there from the start, or nearly."
    page.add("rewiring", "ages", caption, plots.ages(metrics, ax=_axes()))


def add_animation(page: Page, initial: Network | None) -> None:
    """Show the projection that has rewired most, from the snapshots of the run, if it kept any."""
    files = sorted((page.run / "snapshots").glob("*.safetensors"))
    if page.network is None or initial is None or len(files) < 2:
        return
    pairs = enumerate(zip(initial.projections, page.network.projections, strict=True))
    moved, most = max((plots.n_new_sites(before, after), i) for i, (before, after) in pairs)
    if not moved:
        return
    networks = [("before training", initial)] + [(f"epoch {int(file.stem)}", Network.load(file)) for file in files]
    content = rewiring_gif([(title, network.projections[most]) for title, network in networks])
    p = page.network.projections[most]
    page.add_file("rewiring", "rewiring.gif", f"The synapses from {p.source} to {p.target} while they rewire.", content)


def add_wiring(page: Page, initial: Network | None, image_shape: tuple[int, ...] | None) -> None:
    """Weight matrices and pixels before and after; fan-in, fan-out and weights as histograms."""
    projections = page.network.projections if page.network else ()
    for i, after in enumerate(projections):
        label, before = f"{after.source} → {after.target}", same_projection(after, initial, i)
        states = {"before": before, "after": after} if before is not None else {"after": after}
        weight, fan_out = plots.scales(states.values())
        for when, projection in states.items():
            moved = f": {plots.n_new_sites(before, after)} synapses at new sites" if before and when == "after" else ""
            ax = plots.weight_matrix(projection, limit=weight, ax=_axes())
            page.add("wiring", _file("weights", after, when), f"Weights {label} {when} training{moved}.", ax)
        if after.source == INPUT and image_shape is not None and len(image_shape) == 2:
            for when, projection in states.items():
                ax = plots.input_map(projection, (image_shape[0], image_shape[1]), limit=fan_out, ax=_axes())
                page.add("wiring", _file("pixels", after, when), f"Where the network looks, {when} training.", ax)
    for i, after in enumerate(projections):
        before = same_projection(after, initial, i)
        ax = plots.weight_histogram(after, before=before, ax=_axes())
        caption = f"Weights of the live synapses from {after.source} to {after.target}."
        page.add("weights", _file("weight_histogram", after), caption, ax)
        ax = plots.degree_histogram(after, before=before, ax=_axes())
        caption = f"Fan-in: how many synapses from {after.source} a neuron of {after.target} has."
        page.add("degrees", _file("fan_in", after), caption, ax)
        ax = plots.degree_histogram(after, "out", before=before, ax=_axes())
        caption = f"Fan-out: how many synapses to {after.target} a neuron of {after.source} has."
        page.add("degrees", _file("fan_out", after), caption, ax)


def add_activity(page: Page, example: Example) -> None:
    """Raster, read-out and voltages of the first sample of the example."""
    recording, network = example.recording, page.network
    label = int(example.labels[0])
    caption = f"One test sample, a {label}: each bar is a spike."
    page.add("activity", "raster", caption, plots.raster(recording, ax=_axes(4.2)))
    if network is None:
        return
    output = output_of(network)
    if is_readout(network[output]):
        caption = "The same sample in the read-out: the class of the highest mean voltage wins."
        page.add("activity", "readout", caption, plots.readout_trace(recording, output, label=label, ax=_axes(4.2)))
    for p in network.populations:
        if not is_readout(p) and p.name in recording.voltages:
            ax = plots.voltage_trace(recording, p.name, _telling_neurons(recording.spikes[p.name][:, 0]), ax=_axes())
            page.add("activity", f"voltage_{p.name}", f"Three neurons of {p.name}, same sample; dots are spikes.", ax)


def add_engines(page: Page, rasters: Rasters | None) -> None:
    """Show the spikes of one sample in all engines on top of each other, a figure per population."""
    if rasters is None or len(rasters.engines) < 2:
        return
    first = next(iter(rasters.engines))
    for name in rasters.spiking:
        spikes = {engine: found[name] for engine, found in rasters.engines.items()}
        wrong = {engine: n for engine, n in mismatches(spikes).items() if n}
        spiked = f"{count(int(np.count_nonzero(spikes[first])))} spikes of all {count(spikes[first].shape[1])} neurons"
        told = ", ".join(f"{engine} differs in {count(n)}" for engine, n in wrong.items())
        caption = (
            f"{name}, one test sample, a {rasters.label}. Grey: {first} spikes; a bar inside: so does that engine. "
            f"Of the {spiked}, {told + ' (circled where shown)' if wrong else 'every one is the same in every engine'}."
        )
        page.add("engines", f"overlay_{name}", caption, plots.raster_overlay(spikes, dt=rasters.dt))


def add_costs(page: Page, metrics: Metrics, simulations: list[Simulation]) -> None:
    """Show speed of the engines, and time and memory of the training."""
    timed = {row.backend: row for row in simulations if row.seconds and row.samples}
    if timed:
        seconds = {name: row.seconds or 0.0 for name, row in timed.items()}
        ax = plots.engine_speeds(seconds, {name: row.samples for name, row in timed.items()})
        page.add("costs", "engine_speeds", "Time per sample in every engine, when called once for all of them.", ax)
    if any(row.get("seconds") for row in metrics):
        page.add("costs", "epoch_seconds", "Time of every epoch.", plots.epoch_seconds(metrics, ax=_axes()))
    if any(row.get("rss_mb") for row in metrics):
        caption = "Memory of the training process, data and libraries included."
        page.add("costs", "epoch_memory", caption, plots.epoch_memory(metrics, ax=_axes()))


def add_chips(page: Page, deployments: list[Deployed]) -> None:
    """Show the figures that ``deploy`` has drawn for each chip."""
    for chip in deployments:
        for kind, caption in (("cores", "how full each core is."), ("energy", "energy per sample, a model.")):
            path = page.run / "figures" / f"{kind}_{chip.name}.png"
            if path.is_file():
                uri = data_uri("png", path.read_bytes())
                page.figures.setdefault("chip", []).append((f"{chip.title}: {caption}", uri))


def _file(kind: str, projection: Projection, *parts: str) -> str:
    return "_".join([kind, projection.source, "to", projection.target, *parts])


def _axes(height: float = 3.0) -> Any:
    """Return new axes as wide as a phone: beside each other on a screen, one below the other there, legible on both."""
    return new_axes(None, (4.6, height))


def _telling_neurons(spikes: NDArray[np.bool_]) -> list[int]:
    """Return up to three neurons of (time, n) that are neither silent nor spiking at every step, if there are."""
    counts = spikes.sum(axis=0)
    order = np.argsort(np.abs(counts - spikes.shape[0] / 3), kind="stable")
    return sorted(int(neuron) for neuron in order[:3])
