"""SpikingJelly: multi-step LIF on a dense layer, its fastest form on a CPU.

Its neuron decays what is left after the reset, snnTorch's subtracts the reset after the decay: the spikes differ a
little, the work does not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from spikingjelly.activation_based import functional as sj
from spikingjelly.activation_based import neuron, surrogate
from torch import nn
from torch.nn import functional

if TYPE_CHECKING:
    from neurosparse.benchmarks.worker import Work


class LayerStep:
    """`nn.Linear` over all time steps at once, then `LIFNode` in multi-step mode."""

    def __init__(self, work: Work) -> None:
        self.work, self.linear, self.neuron = work, _dense_layer(work), _lif()
        self.x = torch.from_numpy(work.arrays["x"]).float().requires_grad_()
        self.g = torch.from_numpy(work.arrays["g"])

    def step(self) -> None:
        self.x.grad = self.linear.weight.grad = None
        sj.reset_net(self.neuron)
        self.spikes = self.neuron(self.linear(self.x))
        self.spikes.backward(self.g)

    def facts(self) -> dict[str, float]:
        return {"rate": float(self.spikes.detach().mean())}


class TrainingStep:
    """A stack of `nn.Linear` and `LIFNode`: forward, loss on the spike counts, backward, Adam."""

    def __init__(self, work: Work) -> None:
        n_layers = len(work.settings["sizes"]) - 1
        self.linears = [_dense_layer(work, str(i)) for i in range(n_layers)]
        self.neurons = nn.ModuleList(_lif() for _ in range(n_layers))
        self.x = torch.from_numpy(work.arrays["x"]).float()
        self.labels = torch.from_numpy(work.arrays["labels"])
        self.optimizer = torch.optim.Adam([linear.weight for linear in self.linears], lr=1e-3)

    def step(self) -> None:
        sj.reset_net(self.neurons)
        s = self.x
        self.n_spikes = []
        for linear, lif in zip(self.linears, self.neurons, strict=True):
            self.n_spikes.append(float(s.detach().sum()))
            s = lif(linear(s))
        loss = functional.cross_entropy(s.sum(0), self.labels)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()

    def facts(self) -> dict[str, float]:
        state = [entry for slot in self.optimizer.state.values() for entry in slot.values()]
        return {
            "weights_bytes": sum(linear.weight.nbytes for linear in self.linears),
            "index_bytes": 0,
            "optimizer_bytes": sum(entry.nbytes for entry in state),
            "synaptic_operations": sum(
                n * linear.out_features for n, linear in zip(self.n_spikes, self.linears, strict=True)
            ),
        }


def _lif() -> nn.Module:
    return neuron.LIFNode(
        tau=10.0,  # v + (x - v / tau) with decay_input=False: beta = 0.9
        decay_input=False,
        v_threshold=1.0,
        v_reset=None,
        surrogate_function=surrogate.ATan(),
        step_mode="m",
    )


def _dense_layer(work: Work, layer: str = "") -> nn.Linear:
    weights = torch.from_numpy(work.dense(layer))
    linear = nn.Linear(weights.shape[1], weights.shape[0], bias=False)
    linear.weight.data = weights
    return linear
