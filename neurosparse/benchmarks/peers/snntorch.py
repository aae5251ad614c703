"""snnTorch on dense layers, one time step after the other: what a user writes today (a mask changes nothing here)."""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING, Any

import snntorch as snn
import torch
from torch import nn
from torch.nn import functional

if TYPE_CHECKING:
    from neurosparse.benchmarks.worker import Work


class LayerStep:
    """`nn.Linear` and `snn.Leaky`."""

    def __init__(self, work: Work) -> None:
        self.work, self.linear = work, dense_layer(work)
        self.neuron = snn.Leaky(beta=0.9)
        self.x = torch.from_numpy(work.arrays["x"]).float().requires_grad_()
        self.g = torch.from_numpy(work.arrays["g"])

    def step(self) -> None:
        self.x.grad = self.linear.weight.grad = None
        v = torch.zeros(self.x.shape[1], self.linear.out_features)
        spikes = []
        for t in range(self.x.shape[0]):
            s, v = self.neuron(self.linear(self.x[t]), v)
            spikes.append(s)
        self.spikes = torch.stack(spikes)
        self.spikes.backward(self.g)

    def facts(self) -> dict[str, float]:
        weights, inputs = self.linear.weight.grad, self.x.grad
        if weights is None or inputs is None:
            return {}
        return {
            "rate": float(self.spikes.detach().mean()),
            "values_gradient": float(self.work.at_synapses(weights).norm()),
            "input_gradient": float(inputs.norm()),
        }


class TrainingStep:
    """A stack of `nn.Linear` and `snn.Leaky`: forward, loss on the spike counts, backward, Adam."""

    def __init__(self, work: Work) -> None:
        self.settings = work.settings
        self.linears = [dense_layer(work, str(i)) for i in range(len(work.settings["sizes"]) - 1)]
        self.neuron = snn.Leaky(beta=0.9)
        self.x = torch.from_numpy(work.arrays["x"]).float()
        self.labels = torch.from_numpy(work.arrays["labels"])
        self.optimizer = torch.optim.Adam([linear.weight for linear in self.linears], lr=1e-3)
        self.losses: list[float] = []

    def step(self) -> None:
        voltages = [torch.zeros(self.x.shape[1], linear.out_features) for linear in self.linears]
        output, self.n_spikes = [], [torch.zeros(()) for _ in self.linears]
        for s in self.x:
            for i, linear in enumerate(self.linears):
                self.n_spikes[i] = self.n_spikes[i] + s.detach().sum()
                s, voltages[i] = self.neuron(linear(s), voltages[i])
            output.append(s)
        loss = functional.cross_entropy(torch.stack(output).sum(0), self.labels)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.losses.append(loss.item())

    def facts(self) -> dict[str, float]:
        state = [entry for slot in self.optimizer.state.values() for entry in slot.values()]
        return {
            "first_loss": self.losses[0],
            "weights_bytes": sum(linear.weight.nbytes for linear in self.linears),
            "index_bytes": 0,
            "optimizer_bytes": sum(entry.nbytes for entry in state),
            "synaptic_operations": sum(
                float(n) * linear.out_features for n, linear in zip(self.n_spikes, self.linears, strict=True)
            ),
        }


class Simulation:
    """Five samples, each alone, without gradients; seconds are the median over them."""

    def __init__(self, work: Work) -> None:
        self.populations = work.settings["populations"]
        self.linears = []
        for i in range(len(self.populations)):
            weights = torch.from_numpy(work.arrays[f"dense{i}"]).float()
            linear = nn.Linear(weights.shape[1], weights.shape[0], bias=False)
            linear.weight.data = weights
            self.linears.append(linear)
        hidden = [snn.Leaky(beta=0.9) for _ in self.linears[:-1]]
        self.neurons = [*hidden, snn.Leaky(beta=0.9, threshold=1e30, reset_mechanism="none")]
        x = torch.from_numpy(work.arrays["x"]).float()
        self.samples = [x[:, i : i + 1].contiguous() for i in range(min(5, x.shape[1]))]
        work.check_spikes(self.run(x))

    @torch.no_grad()
    def run(self, x: torch.Tensor) -> dict[str, Any]:
        voltages = [torch.zeros(x.shape[1], linear.out_features) for linear in self.linears]
        rasters: list[list[torch.Tensor]] = [[] for _ in self.linears]
        for s in x:
            for i, (linear, neuron) in enumerate(zip(self.linears, self.neurons, strict=True)):
                s, voltages[i] = neuron(linear(s), voltages[i])
                rasters[i].append(s)
        return {name: torch.stack(r).bool().numpy() for name, r in zip(self.populations, rasters, strict=True)}

    def step(self) -> float:
        seconds = []
        for sample in self.samples:
            begin = time.perf_counter()
            self.run(sample)
            seconds.append(time.perf_counter() - begin)
        return statistics.median(seconds)

    def facts(self) -> dict[str, float]:
        return {}


def dense_layer(work: Work, layer: str = "") -> nn.Linear:
    """Return the weights of a layer as `nn.Linear`."""
    weights = torch.from_numpy(work.dense(layer))
    linear = nn.Linear(weights.shape[1], weights.shape[0], bias=False)
    linear.weight.data = weights
    return linear
