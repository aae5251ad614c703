"""Our own contestants; the only file here that imports neurosparse."""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp
import snntorch as snn
import torch
from torch.nn import functional

from neurosparse.backends import copies, simulate
from neurosparse.core.network import Network
from neurosparse.kernels.choice import Costs
from neurosparse.kernels.clock import clock_ghz
from neurosparse.kernels.jit import watched
from neurosparse.nn import engine
from neurosparse.nn.engine_costs import set_costs
from neurosparse.nn.engine_source import PackedSpikes, packed_source
from neurosparse.nn.network import Layer, Output, SparseSNN
from neurosparse.nn.sparse import SparseLinear
from neurosparse.rewiring.deep_r import DeepR

if TYPE_CHECKING:
    from neurosparse.benchmarks.worker import Work


class LayerStep:
    """One fused layer as a user calls it: float tensors (time, batch, n) in and out, contiguous gradients."""

    def __init__(self, work: Work) -> None:
        self.layer = _layer(work)
        self.x = torch.from_numpy(work.arrays["x"]).float().requires_grad_()
        self.g = torch.from_numpy(work.arrays["g"])

    def step(self) -> None:
        self.x.grad = self.layer.connection.values.grad = None
        self.spikes, _ = engine.run_layer(self.layer, self.x, want_voltages=False)
        self.spikes.tensor().backward(self.g)

    def facts(self) -> dict[str, float]:
        values, inputs = self.layer.connection.values.grad, self.x.grad
        if values is None or inputs is None:
            return {}
        return {
            "rate": float(engine.spike_rates(self.spikes).mean()),
            "values_gradient": float(values.norm()),
            "input_gradient": float(inputs.norm()),
        }


class InnerLayerStep:
    """One fused layer between two others: spikes are bits on both sides, gradients rows of lanes."""

    costs: Costs | None = None  # those measured on this machine

    def __init__(self, work: Work) -> None:
        set_costs(self.costs)
        self.layer = _layer(work)
        source = packed_source(torch.from_numpy(work.arrays["x"]), torch.float32)
        self.anchor = source.anchor.detach().requires_grad_()
        self.source = PackedSpikes(self.anchor, source.rows, source.lanes)
        lanes, n = source.lanes, work.settings["n"]
        rows = lanes.rows(n, np.float32)
        rows[...] = 0
        lanes.as_time_batch_neuron(rows)[...] = work.arrays["g"]
        shape = (work.settings["n_steps"], work.settings["batch"], n)
        self.g = torch.from_numpy(rows).as_strided(shape, (lanes.padded, 1, lanes.n_lanes))

    def step(self) -> None:
        self.layer.connection.values.grad = None
        self.spikes, _ = engine.run_layer(self.layer, self.source, want_voltages=False)
        wanted = (self.anchor, self.layer.connection.values)
        self.g_x, self.g_values = torch.autograd.grad(self.spikes.anchor, wanted, self.g)

    def facts(self) -> dict[str, float]:
        return {
            "rate": float(engine.spike_rates(self.spikes).mean()),
            "values_gradient": float(self.g_values.norm()),
            "input_gradient": float(self.g_x.norm()),
        }


_NEVER = 1e3  # nanoseconds for what then does not happen


class WordsStep(InnerLayerStep):
    """The same by masked additions, whatever the engine would choose."""

    costs = Costs(event_add=_NEVER, event_dot=_NEVER, dense=_NEVER)


class EventsStep(InnerLayerStep):
    """The same by lists of spikes."""

    costs = Costs(word_add=_NEVER, word_dot=_NEVER, dense=_NEVER)


class DenseStep(InnerLayerStep):
    """The same by dense products."""

    costs = Costs(word_add=_NEVER, word_dot=_NEVER, event_add=_NEVER, event_dot=_NEVER)


class TrainingStep:
    """A `SparseSNN`: forward, loss on the spike counts, backward, Adam, and DEEP R after every step."""

    def __init__(self, work: Work) -> None:
        self.settings, sizes = work.settings, work.settings["sizes"]
        self.connections = [_connection(work, str(i), n) for i, n in enumerate(sizes[:-1])]
        modules = [module for connection in self.connections for module in (connection, snn.Leaky(beta=0.9))]
        self.net = SparseSNN(*modules)
        self.x = torch.from_numpy(work.arrays["x"])
        self.labels = torch.from_numpy(work.arrays["labels"])
        self.out: Output = self.net(self.x)
        # DEEP R gives the weights its own signs: this is the loss that others can be compared with
        self.first_loss = float(functional.cross_entropy(self.out.spikes.sum(0), self.labels).detach())
        self.optimizer = torch.optim.Adam(self.net.parameters(), lr=1e-3)
        self.rewirer = DeepR().attach(self.net, self.optimizer, seed=0)
        self.shares: list[float] = []

    def step(self) -> None:
        begin = time.perf_counter()
        self.out = self.net(self.x)
        loss = functional.cross_entropy(self.out.spikes.sum(0), self.labels)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        trained = time.perf_counter()
        self.rewirer.step()
        end = time.perf_counter()
        self.shares.append((end - trained) / (end - begin))

    def facts(self) -> dict[str, float]:
        state = [entry for slot in self.optimizer.state.values() for entry in slot.values()]
        index = [part for layer in self.connections for part in (layer.indptr, layer.indices, *layer.csc())]
        rewiring = sum(layer.sites.nbytes for layer in self.rewirer.layers)
        rewiring += sum(array.nbytes for array in self.rewirer.state_dict()["arrays"].values())
        return {
            "first_loss": self.first_loss,
            "weights_bytes": sum(p.nbytes for p in self.net.parameters()),
            "index_bytes": sum(part.nbytes for part in index) + rewiring,
            "optimizer_bytes": sum(entry.nbytes for entry in state),
            "synaptic_operations": self._operations(),
            "rewiring_share": statistics.median(self.shares[2:] or self.shares),
            "births": sum(self.rewirer.stats.total_births.values()),
        }

    def _operations(self) -> float:
        """Return the additions of one forward pass: the fan-out of every spike of the last step."""
        counts = [self.x.float().sum((0, 1))]
        counts += [rate * self.x.shape[0] * self.x.shape[1] for rate in self.out.rates[:-1]]
        fan_out = [
            torch.bincount(layer.indices.long(), minlength=layer.in_features).float() for layer in self.connections
        ]
        return float(sum((n * fan).sum() for n, fan in zip(counts, fan_out, strict=True)))


class Profile:
    """A training step, or a layer step inside a network, with the seconds of each kernel."""

    def __init__(self, work: Work) -> None:
        self.whole = TrainingStep(work) if "sizes" in work.settings else InnerLayerStep(work)
        self.steps: list[dict[str, float]] = []

    def step(self) -> None:
        found: dict[str, float] = {}

        def note(kernel: str, seconds: float) -> None:
            found[kernel] = found.get(kernel, 0.0) + seconds

        with watched(note):
            self.whole.step()
        self.steps.append(found)

    def facts(self) -> dict[str, float]:
        steps = self.steps[len(self.steps) // 2 :]
        names = {name for step in steps for name in step}
        kernels = {f"kernel {name}": statistics.median(step.get(name, 0.0) for step in steps) for name in names}
        return {**self.whole.facts(), **kernels, "clock_ghz": clock_ghz()}


class Simulation:
    """Every sample alone, by the whole call of `simulate`; seconds are the median over samples."""

    def __init__(self, work: Work) -> None:
        self.work = work
        self.network = Network.load(Path(work.settings["folder"]) / "network.safetensors")
        self.x = work.arrays["x"].astype(bool)
        self.samples = [np.ascontiguousarray(self.x[:, i]) for i in range(self.x.shape[1])]
        work.check_spikes(dict(simulate(self.network, self.x, backend="native").spikes))

    def step(self) -> float:
        seconds = []
        for sample in self.samples:
            begin = time.perf_counter()
            simulate(self.network, sample, backend="native")
            seconds.append(time.perf_counter() - begin)
        return statistics.median(seconds)

    def facts(self) -> dict[str, float]:
        spikes = {name: self.work.arrays[f"expected_{name}"].astype(bool) for name in self.work.settings["populations"]}
        return {"synaptic_events": copies.synaptic_events(self.network, self.x, spikes) / len(self.samples)}


class LargeLayer:
    """A layer far too large to be dense, from its making on: forward, both gradients, Adam, DEEP R."""

    def __init__(self, work: Work) -> None:
        s = work.settings
        layer = SparseLinear(s["n"], s["n"], n_synapses=s["n_synapses"], generator=np.random.default_rng(s["seed"]))
        self.layer, self.net = layer, SparseSNN(layer, snn.Leaky(beta=0.9))
        self.optimizer = torch.optim.Adam(self.net.parameters(), lr=0.1)
        self.rewirer = DeepR().attach(self.net, self.optimizer, seed=0)
        self.x = torch.from_numpy(work.arrays["x"]).float().requires_grad_()

    def step(self) -> None:
        self.optimizer.zero_grad()
        self.net(self.x).voltages.square().sum().backward()
        self.optimizer.step()
        self.rewirer.step()

    def facts(self) -> dict[str, float]:
        state = [entry for slot in self.optimizer.state.values() for entry in slot.values()]
        return {
            "n_synapses": self.layer.n_synapses,
            "births": sum(self.rewirer.stats.total_births.values()),
            "weights_bytes": self.layer.values.nbytes,
            "optimizer_bytes": sum(entry.nbytes for entry in state),
        }


def _layer(work: Work) -> Any:
    return Layer(_connection(work, "", work.settings["n"]), snn.Leaky(beta=0.9))


def _connection(work: Work, layer: str, n_source: int) -> SparseLinear:
    indptr, indices, values = (work.arrays[f"{name}{layer}"] for name in ("indptr", "indices", "values"))
    return SparseLinear.from_scipy(sp.csr_array((values, indices, indptr), shape=(indptr.size - 1, n_source)))
