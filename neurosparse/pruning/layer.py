"""What a pruner holds of one layer. This is where the dense matrices are."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from neurosparse.nn.sparse import SparseLinear

__all__ = ["DenseLayer"]


@dataclass
class DenseLayer:
    """The pruner's view of a `torch.nn.Linear`. It holds a dense matrix, and most methods hold several.

    Between two optimizer steps ``module.weight`` is `effective`, the masked or transformed weights, so the network runs
    like any dense one, at full speed and in the fused engine. Only during ``optimizer.step()`` it is `latent`, which
    then receives the gradient taken at the effective weights: a straight-through estimator without a graph.

    Attributes
    ----------
    name : str
        Of the module in its model.
    index : int
        Position among the model's pruned layers.
    module : torch.nn.Linear
    latent : Tensor (n_target, n_source)
        What the optimizer moves.
    effective : Tensor (n_target, n_source)
        What the network computes with; the same tensor as `latent` where dormant weights are zero and stay so.
    mask : bool Tensor (n_target, n_source)
        True where a synapse is live.
    arrays : dict of str to Tensor
        What else a method keeps; all of it is in the checkpoint.
    before : Tensor or None
        Latent weights from before the optimizer's step, for a method that asks; None between two steps.
    births, deaths : int
        Synapses that became live and dormant so far.
    """

    name: str
    index: int
    module: nn.Linear
    latent: Tensor
    effective: Tensor
    mask: Tensor
    arrays: dict[str, Tensor] = field(default_factory=dict)
    before: Tensor | None = None
    births: int = 0
    deaths: int = 0

    @classmethod
    def of(cls, name: str, index: int, module: nn.Linear, *, latent: bool) -> DenseLayer:
        """Return the view of `module`, all synapses live; `latent`: whether dormant weights keep a value."""
        weight = module.weight.data
        mask = torch.ones_like(weight, dtype=torch.bool)
        return cls(name, index, module, weight, weight.clone() if latent else weight, mask)

    @property
    def n_live(self) -> int:
        """Number of live synapses."""
        return int(self.mask.sum())

    @property
    def n_sites(self) -> int:
        """Number of possible synapses."""
        return self.mask.numel()

    @property
    def shape(self) -> tuple[int, int]:
        """(n_target, n_source)."""
        return self.module.out_features, self.module.in_features

    @property
    def gradient(self) -> Tensor | None:
        """The gradient at the effective weights, None before the first backward pass."""
        return self.module.weight.grad

    def keep(self, mask: Tensor) -> None:
        """Make `mask` the live synapses; the effective weights are the latent ones there and 0 elsewhere."""
        self.deaths += int((self.mask & ~mask).sum())
        self.births += int((mask & ~self.mask).sum())
        self.mask = mask
        self.apply_mask()

    def apply_mask(self) -> None:
        """Set the effective weights to the latent ones where live, to 0 elsewhere."""
        torch.mul(self.latent, self.mask, out=self.effective)

    def set_effective(self, weights: Tensor) -> None:
        """Set the effective weights; live is what is not 0."""
        self.keep(weights != 0)
        self.effective.copy_(weights)

    def show(self, weights: Tensor) -> None:
        """Let the module, and thereby the optimizer, see `weights`."""
        self.module.weight.data = weights

    def to_sparse(self) -> SparseLinear:
        """Return the live synapses as a `SparseLinear` that shares the module's bias parameter."""
        n_target, n_source = self.shape
        sites = torch.nonzero(self.mask.reshape(-1)).squeeze(1)
        values = self.effective.reshape(-1)[sites]
        sparse = SparseLinear(n_source, n_target, n_synapses=n_target, device=values.device, dtype=values.dtype)
        sparse.set_topology(sites.cpu().numpy(), values)
        sparse.bias = self.module.bias
        sparse.train(self.module.training)
        return sparse
