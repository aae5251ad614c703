"""One HTML page about a run: self-contained (figures inside, no network), readable on a phone and in grey.

`write_report` reads a run directory and shows what it finds there; what is missing (a run that is still training,
no simulations yet) is left out. Figures are also written to ``figures/`` as PNG.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurosparse.analysis import plots
from neurosparse.analysis.animation import rewiring_gif
from neurosparse.analysis.comparison import output_of, read_simulations
from neurosparse.analysis.deployments import Deployed, read_deployments
from neurosparse.analysis.metrics import possible_synapses
from neurosparse.analysis.pages import data_uri, render
from neurosparse.analysis.palette import new_axes, png
from neurosparse.analysis.summary import (
    Example,
    connections,
    neurobench_rows,
    populations,
    same_projection,
    summary,
)
from neurosparse.core.container import write_atomically
from neurosparse.core.network import INPUT, Network, is_readout
from neurosparse.core.projection import Projection
from neurosparse.errors import ArtifactError

__all__ = ["Example", "write_report"]


@dataclass
class _Page:
    """What the template shows of figures: (title, caption, data URI) by section."""

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


def write_report(
    run: str | Path, *, example: Example | None = None, image_shape: tuple[int, ...] | None = None, title: str = ""
) -> Path:
    """Write ``report.html`` and ``figures/`` into the directory of a run and return the page's path.

    Parameters
    ----------
    run : path
        Read are ``config.toml``, ``metrics.jsonl``, ``network.safetensors``, ``initial_network.safetensors`` and
        ``simulations.json``, as far as they exist.
    example : Example, optional
        Adds the raster, the read-out and the activity.
    image_shape : (rows, columns), optional
        Shape of an input image; adds the map of synapses per pixel.

    Raises
    ------
    ArtifactError
        If `run` is no directory, has nothing to report, or one of its files is damaged.
    """
    run = Path(run)
    if not run.is_dir():
        raise ArtifactError(f"{run}: no such run directory; `neurosparse train CONFIG --out {run}` makes one")
    network, initial = (_network(run / name) for name in ("network.safetensors", "initial_network.safetensors"))
    metrics, simulations = _metrics(run), read_simulations(run)
    if network is None and not metrics:
        raise ArtifactError(f"{run}: nothing to report, it has neither network.safetensors nor metrics.jsonl")
    config = run / "config.toml"
    page = _Page(run, network)
    if metrics:
        _training_figures(page, metrics)
    _wiring_figures(page, initial, image_shape)
    _animation(page, initial)
    if example is not None:
        _example_figures(page, example)
    if example is not None and metrics and network is not None and network.projections:
        first = network.projections[0]
        before = same_projection(first, initial, 0)
        axes = plots.overview(before or first, first, metrics, example.recording)
        write_atomically(
            run / "figures" / "overview.png", png(axes[0].figure)
        )  # for a README or a slide; not in the page
    content = render(
        "report",
        title=title or run.resolve().name,
        summary=summary(network, metrics, simulations, example),
        simulations=simulations,
        neurobench=neurobench_rows(network, example),
        deployments=_deployments(page),
        populations=populations(network, example),
        projections=connections(network, initial),
        figures=page.figures,
        config=config.read_text(encoding="utf-8") if config.is_file() else "",
    )
    write_atomically(run / "report.html", content.encode())
    return run / "report.html"


def _training_figures(page: _Page, metrics: list[dict[str, Any]]) -> None:
    network = page.network
    spiking = [p.name for p in network.populations if not is_readout(p)] if network else None
    possible = possible_synapses(network) if network else None
    caption = "Accuracy on the training and on the validation split."
    page.add("training", "accuracy", caption, plots.accuracy(metrics, ax=_axes()))
    page.add("training", "loss", "Mean training loss of each epoch.", plots.loss(metrics, ax=_axes()))
    caption = "Rewiring: synapses that died and were born at another site, per epoch."
    page.add("rewiring", "turnover", caption, plots.turnover(metrics, ax=_axes()))
    caption = "Density: how many of the possible synapses exist."
    page.add("rewiring", "density", caption, plots.density(metrics, possible, ax=_axes()))
    if any(row.get("rates") for row in metrics):
        ax = plots.firing_rates(metrics, spiking, ax=_axes())
        page.add("activity", "firing_rates", "Mean firing rate of each population.", ax)
    if any(row.get("silent") for row in metrics):
        ax = plots.silent_neurons(metrics, spiking, ax=_axes())
        page.add("activity", "silent_neurons", "Neurons that did not spike once in an epoch.", ax)


def _wiring_figures(page: _Page, initial: Network | None, image_shape: tuple[int, ...] | None) -> None:
    for i, after in enumerate(page.network.projections if page.network else ()):
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
    for i, after in enumerate(page.network.projections if page.network else ()):
        ax = plots.degree_histogram(after, before=same_projection(after, initial, i), ax=_axes())
        caption = f"Fan-in: how many synapses from {after.source} a neuron of {after.target} has."
        page.add("wiring", _file("fan_in", after), caption, ax)
        ax = plots.weight_histogram(after, before=same_projection(after, initial, i), ax=_axes())
        caption = f"Weights of the live synapses from {after.source} to {after.target}."
        page.add("wiring", _file("weight_histogram", after), caption, ax)


def _animation(page: _Page, initial: Network | None) -> None:
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


def _deployments(page: _Page) -> list[Deployed]:
    """Return what `deploy` has found for each chip, and show the figures that it has drawn."""
    found = read_deployments(page.run)
    for chip in found:
        for kind, caption in (("cores", "How full each core is."), ("energy", "Energy per sample, a model.")):
            path = page.run / "figures" / f"{kind}_{chip.name}.png"
            if path.is_file():
                uri = data_uri("png", path.read_bytes())
                page.figures.setdefault("chip", []).append((f"{chip.title}: {caption}", uri))
    return found


def _file(kind: str, projection: Projection, *parts: str) -> str:
    return "_".join([kind, projection.source, "to", projection.target, *parts])


def _example_figures(page: _Page, example: Example) -> None:
    recording, network = example.recording, page.network
    label = int(example.labels[0])
    page.add(
        "activity",
        "raster",
        f"One test sample, a {label}: each bar is a spike.",
        plots.raster(recording, ax=_axes(4.2)),
    )
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


def _axes(height: float = 3.0) -> Any:
    """Return new axes as wide as a phone: beside each other on a screen, one below the other there, legible on both."""
    return new_axes(None, (4.6, height))


def _telling_neurons(spikes: NDArray[np.bool_]) -> list[int]:
    """Return up to three neurons of (time, n) that are neither silent nor spiking at every step, if there are."""
    counts = spikes.sum(axis=0)
    order = np.argsort(np.abs(counts - spikes.shape[0] / 3), kind="stable")
    return sorted(int(neuron) for neuron in order[:3])


def _network(path: Path) -> Network | None:
    return Network.load(path) if path.is_file() else None


def _metrics(run: Path) -> list[dict[str, Any]]:
    path = run / "metrics.jsonl"
    if not path.is_file():
        return []
    rows = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            row = json.loads(line)
        except ValueError as error:
            raise ArtifactError(f"{path}: line {number} is not JSON ({error})") from error
        if not isinstance(row, dict) or "epoch" not in row:
            raise ArtifactError(f"{path}: line {number} is no epoch's metrics")
        rows.append(row)
    return rows
