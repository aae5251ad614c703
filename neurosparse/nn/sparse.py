"""`SparseLinear`: the trainable layer, a vector of K values and the index of their K synapses. Never a dense matrix."""

from __future__ import annotations

import fnmatch
from typing import Any, Literal

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from neurosparse.core.rng import sample_distinct, stream
from neurosparse.errors import UnknownNameError, ValidationError
from neurosparse.kernels.topology import csc_from_csr, csr_from_sites, dormant_sites, merge_sites
from neurosparse.nn.matmul import sparse_matmul

__all__ = ["SparseLinear", "sparsify"]

_MAX_SYNAPSES = 2**31 - 1


class SparseLinear(nn.Module):
    """Linear layer ``y = x W^T + b`` whose W (out_features, in_features) has K live synapses and exists only as them.

    Takes the place of `torch.nn.Linear` in front of any snnTorch neuron. Parameters, gradients and optimizer state are of size K;
    forward and backward allocate O(K + batch * features). Rewirers (`neurosparse.rewiring`) change which synapses live.

    Parameters
    ----------
    in_features, out_features : int
        Sizes of the source and the target population.
    density : float in (0, 1], optional
        Live synapses / possible synapses; give this or `n_synapses`.
    n_synapses : int, optional
        K itself. At least `out_features`: every neuron starts with one incoming synapse, because a neuron without input never fires
        and never learns.
    bias : bool
        Whether to add a trainable bias (unlike `torch.nn.Linear`, not by default: a chip pays for it).
    gain : float
        Weights start as N(0, gain**2 / fan_in), with the *actual* fan-in of each neuron: with the full fan-in a sparse layer of
        spiking neurons starts silent.
    generator : numpy.random.Generator or torch.Generator, optional
        Source of the sites and values; None uses torch's global one, as `torch.nn.Linear` does.

    Attributes
    ----------
    values : Parameter, shape (K,)
        Weights in CSR order; a plain vector, so that every optimizer works.
    indptr, indices : int32 buffers, shapes (out_features + 1,) and (K,)
        The CSR index.
    topology_version : int
        Grows whenever the index changes; caches of derived indices are keyed on it.

    Examples
    --------
    >>> layer = SparseLinear(784, 300, density=0.01)
    >>> layer
    SparseLinear(in_features=784, out_features=300, n_synapses=2352, density=0.01, bias=False)
    >>> layer(torch.zeros(5, 784)).shape
    torch.Size([5, 300])
    """

    indptr: Tensor
    indices: Tensor

    def __init__(
        self,
        in_features: int,
        out_features: int,
        density: float | None = None,
        *,
        n_synapses: int | None = None,
        bias: bool = False,
        gain: float = 1.0,
        generator: np.random.Generator | torch.Generator | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.in_features, self.out_features = _size("in_features", in_features), _size("out_features", out_features)
        count = _count(self.in_features, self.out_features, density, n_synapses)
        rng = _numpy_generator(generator)
        sites = initial_sites(self.in_features, self.out_features, count, rng)
        indptr, indices = csr_from_sites(sites, self.out_features, self.in_features)
        fan_in = np.diff(indptr)
        scale = np.repeat(gain / np.sqrt(np.maximum(fan_in, 1)), fan_in)
        values = torch.from_numpy(rng.standard_normal(count) * scale)
        real = dtype or torch.get_default_dtype()
        self.values = nn.Parameter(values.to(device=device, dtype=real))
        self.register_buffer("indptr", torch.from_numpy(indptr).to(device))
        self.register_buffer("indices", torch.from_numpy(indices).to(device))
        self.bias = nn.Parameter(torch.zeros(self.out_features, device=device, dtype=real)) if bias else None
        self.topology_version = 0
        self._csc: tuple[int, tuple[Tensor, Tensor, Tensor]] | None = None

    @classmethod
    def from_scipy(cls, matrix: Any, *, bias: Tensor | NDArray[Any] | None = None) -> SparseLinear:
        """Return a layer with the synapses and weights of a scipy sparse matrix (out_features, in_features); explicit zeros stay."""
        coo = sp.coo_array(matrix)
        sites = coo.row.astype(np.int64) * coo.shape[1] + coo.col
        order = np.argsort(sites, kind="stable")
        if (np.diff(sites[order]) == 0).any():
            raise ValidationError("SparseLinear.from_scipy: the matrix has duplicate entries; call sum_duplicates() first")
        layer = cls._empty(coo.shape[1], coo.shape[0], bias is not None)
        layer.set_topology(sites[order], torch.from_numpy(np.ascontiguousarray(coo.data[order])))
        if bias is not None and layer.bias is not None:
            layer.bias.data = torch.as_tensor(bias).to(layer.values.dtype).clone()
        return layer

    @classmethod
    def _empty(cls, in_features: int, out_features: int, bias: bool) -> SparseLinear:
        layer = cls(in_features, 1, n_synapses=1, bias=False, generator=np.random.default_rng(0))
        layer.out_features = _size("out_features", out_features)
        layer.bias = nn.Parameter(torch.zeros(out_features)) if bias else None
        return layer

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x W^T + b``; `x` of shape (..., in_features)."""
        if x.shape[-1:] != (self.in_features,):
            raise ValidationError(f"SparseLinear: input has shape {tuple(x.shape)}, expected (..., {self.in_features})")
        y = sparse_matmul(x.reshape(-1, self.in_features), self.values, self)
        y = y.reshape(*x.shape[:-1], self.out_features)
        return y if self.bias is None else y + self.bias

    @property
    def n_synapses(self) -> int:
        """Number of live synapses K."""
        return self.values.numel()

    @property
    def n_sites(self) -> int:
        """Number of possible synapses, in_features * out_features."""
        return self.in_features * self.out_features

    @property
    def density(self) -> float:
        """Live synapses / possible synapses."""
        return self.n_synapses / self.n_sites

    @property
    def sites(self) -> NDArray[np.int64]:
        """Keys ``target * in_features + source`` of the live synapses, sorted, shape (K,)."""
        counts = np.diff(self.indptr.cpu().numpy())
        rows = np.repeat(np.arange(self.out_features, dtype=np.int64), counts)
        return rows * self.in_features + self.indices.cpu().numpy()

    def set_topology(self, sites: NDArray[np.int64], values: Tensor) -> None:
        """Make `sites` (K', sorted keys) the live synapses, with `values` (K',); optimizer state is the caller's business."""
        if values.shape != sites.shape:
            raise ValidationError(f"SparseLinear.values: {tuple(values.shape)} values for {sites.shape} sites")
        indptr, indices = csr_from_sites(sites, self.out_features, self.in_features)
        device = self.values.device
        self.values.data = values.detach().to(device)
        self.values.grad = None  # its entries belong to the old synapses
        self.indptr = torch.from_numpy(indptr).to(device)
        self.indices = torch.from_numpy(indices).to(device)
        self.topology_version += 1

    def csc(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return the transposed index: pointers (in_features + 1,), target neurons (K,) and slots (K,) into `values`, all int32."""
        if self._csc is None or self._csc[0] != self.topology_version:
            arrays = csc_from_csr(self.indptr.cpu().numpy(), self.indices.cpu().numpy(), self.in_features)
            device = self.values.device
            parts = [torch.from_numpy(array).to(device) for array in arrays]
            self._csc = (self.topology_version, (parts[0], parts[1], parts[2]))
        return self._csc[1]

    def to_scipy(self) -> sp.csr_array:
        """Return W as a `scipy.sparse.csr_array` (out_features, in_features), a copy."""
        return sp.csr_array(
            (self.values.detach().cpu().numpy().copy(), self.indices.cpu().numpy().copy(), self.indptr.cpu().numpy().copy()),
            shape=(self.out_features, self.in_features),
        )

    def to_dense(self) -> Tensor:
        """Return W as a dense tensor (out_features, in_features): the one call here that allocates a dense matrix."""
        dense = torch.zeros(self.n_sites, dtype=self.values.dtype, device=self.values.device)
        dense[torch.from_numpy(self.sites).to(self.values.device)] = self.values.detach()
        return dense.view(self.out_features, self.in_features)

    def extra_repr(self) -> str:
        """Return what `repr` shows."""
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, n_synapses={self.n_synapses}, "
            f"density={self.density:.4g}, bias={self.bias is not None}"
        )

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any, **kwargs: Any) -> None:
        """Accept a state with another number of synapses: rewiring with a global budget moves synapses between layers."""
        parts = [state_dict.get(prefix + name) for name in ("indptr", "indices", "values")]
        if all(isinstance(part, Tensor) for part in parts):
            indptr, indices, values = (part.detach().cpu().numpy() for part in parts if part is not None)
            sites = self._checked_sites(indptr, indices, values)
            self.set_topology(sites, torch.from_numpy(values).to(self.values.dtype))
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)

    def _checked_sites(self, indptr: NDArray[Any], indices: NDArray[Any], values: NDArray[Any]) -> NDArray[np.int64]:
        from neurosparse.core.projection import Projection

        checked = Projection("state", "layer", indptr, indices, np.asarray(values, np.float64), self.in_features)
        if checked.shape[0] != self.out_features:
            raise ValidationError(f"SparseLinear.indptr: has {checked.shape[0]} rows, the layer has {self.out_features} neurons")
        return checked.rows.astype(np.int64) * self.in_features + checked.indices


def initial_sites(in_features: int, out_features: int, count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return `count` distinct sites, sorted: one random source for every target neuron, the others uniform over what is left."""
    first = np.arange(out_features, dtype=np.int64) * in_features + rng.integers(in_features, size=out_features)
    ranks = sample_distinct(rng, in_features * out_features - out_features, count - out_features)
    return merge_sites(first, np.zeros(out_features, bool), dormant_sites(first, ranks))[0]


def sparsify(
    model: nn.Module,
    *,
    density: float,
    include: str = "*",
    select: Literal["random", "magnitude"] = "random",
    generator: np.random.Generator | torch.Generator | None = None,
) -> nn.Module:
    """Replace the `torch.nn.Linear` layers of `model` by `SparseLinear`, in place, and return it.

    Parameters
    ----------
    model : Module
    density : float in (0, 1]
        Of each replaced layer.
    include : str
        Shell pattern over module names, for instance ``"fc*"``.
    select : {"random", "magnitude"}
        ``random``: new random synapses and weights; ``magnitude``: the largest weights of the dense layer stay, with their values.
    """
    if select not in ("random", "magnitude"):
        raise UnknownNameError("sparsify.select", str(select), ["random", "magnitude"])
    rng = _numpy_generator(generator)
    found = [(name, m) for name, m in model.named_modules() if isinstance(m, nn.Linear) and fnmatch.fnmatch(name, include)]
    if not found:
        linear = [name for name, m in model.named_modules() if isinstance(m, nn.Linear)]
        raise ValidationError(f"sparsify.include: {include!r} matches no nn.Linear; the model has {', '.join(linear) or 'none'}")
    for name, dense in found:
        layer = SparseLinear(
            dense.in_features, dense.out_features, density, bias=dense.bias is not None, generator=rng, dtype=dense.weight.dtype
        )
        if select == "magnitude":
            flat = dense.weight.detach().reshape(-1)
            kept = torch.topk(flat.abs(), layer.n_synapses).indices.sort().values
            layer.set_topology(kept.numpy().astype(np.int64), flat[kept])
        if dense.bias is not None and layer.bias is not None:
            layer.bias.data = dense.bias.detach().clone()
        parent, _, leaf = name.rpartition(".")
        setattr(model.get_submodule(parent), leaf, layer)
    return model


def _size(name: str, value: int) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or not 1 <= value < 2**31:
        raise ValidationError(f"SparseLinear.{name}: must be an integer in [1, 2**31), got {value!r}")
    return int(value)


def _count(in_features: int, out_features: int, density: float | None, n_synapses: int | None) -> int:
    sites = in_features * out_features
    if (density is None) == (n_synapses is None):
        raise ValidationError("SparseLinear: give density or n_synapses, one of the two")
    if density is not None:
        if not 0 < density <= 1:
            raise ValidationError(f"SparseLinear.density: must lie in (0, 1], got {density}")
        count, given = round(density * sites), f"density {density:g} gives {round(density * sites)}"
    else:
        count, given = int(n_synapses or 0), f"got n_synapses={n_synapses}"
    if not out_features <= count <= min(sites, _MAX_SYNAPSES):
        raise ValidationError(
            f"SparseLinear.n_synapses: must lie in [{out_features}, {min(sites, _MAX_SYNAPSES)}] "
            f"(every one of the {out_features} neurons needs an incoming synapse), {given}"
        )
    return count


def _numpy_generator(generator: np.random.Generator | torch.Generator | None) -> np.random.Generator:
    if isinstance(generator, np.random.Generator):
        return generator
    seed = int(torch.randint(2**62, (), generator=generator))
    return stream(seed, "weights")
