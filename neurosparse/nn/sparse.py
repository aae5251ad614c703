"""`SparseLinear`: the trainable layer, a vector of K values and the index of their K synapses. Never a dense matrix."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from neurosparse.core.projection import Projection
from neurosparse.errors import ValidationError
from neurosparse.kernels.topology import csc_from_csr, csr_from_sites
from neurosparse.nn.initial import checked_size, initial_sites, initial_weights, numpy_generator, synapse_count
from neurosparse.nn.matmul import sparse_matmul

if TYPE_CHECKING:
    from neurosparse.nn.gradient_probe import GradientProbe

__all__ = ["SparseLinear", "why_not_an_input"]


class SparseLinear(nn.Module):
    """Linear layer ``y = x W^T + b`` whose W (out_features, in_features) has K live synapses and exists only as them.

    Takes the place of `torch.nn.Linear` in front of any snnTorch neuron. Parameters, gradients and optimizer state are
    of size K; forward and backward allocate O(K + batch * features). Rewirers (`neurosparse.rewiring`) change which
    synapses live.

    Parameters
    ----------
    in_features, out_features : int
        Sizes of the source and the target population.
    density : float in (0, 1], optional
        Live synapses / possible synapses; give this or `n_synapses`.
    n_synapses : int, optional
        K itself. At least `out_features`: every neuron starts with one incoming synapse, because a neuron without input
        never fires and never learns.
    bias : bool
        Whether to add a trainable bias (unlike `torch.nn.Linear`, not by default: a chip pays for it).
    gain : float
        Weights start as N(0, gain**2 / fan_in), with the *actual* fan-in of each neuron: with the full fan-in a sparse
        layer of spiking neurons starts silent.
    generator : numpy.random.Generator or torch.Generator, optional
        Source of the sites and values; None uses torch's global one, as `torch.nn.Linear` does.
    device, dtype
        Of the parameters, as for `torch.nn.Linear`.

    Attributes
    ----------
    values : Parameter, shape (K,)
        Weights in CSR order; a plain vector, so that every optimizer works.
    indptr, indices : int32 buffers, shapes (out_features + 1,) and (K,)
        The CSR index.
    topology_version : int
        Grows whenever the index changes; caches of derived indices are keyed on it.
    gradient_probe : GradientProbe or None
        Set by a rewirer for a step whose gradient of dormant synapses it needs.

    Raises
    ------
    ValidationError
        For sizes, densities or counts that cannot be; naming the argument.

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
        self.in_features = checked_size("in_features", in_features)
        self.out_features = checked_size("out_features", out_features)
        count = synapse_count(self.in_features, self.out_features, density, n_synapses)
        rng = numpy_generator(generator)
        sites = initial_sites(self.in_features, self.out_features, count, rng)
        indptr, indices = csr_from_sites(sites, self.out_features, self.in_features)
        values = torch.from_numpy(initial_weights(np.diff(indptr), gain, rng))
        real = dtype or torch.get_default_dtype()
        self.values = nn.Parameter(values.to(device=device, dtype=real))
        self.register_buffer("indptr", torch.from_numpy(indptr).to(device))
        self.register_buffer("indices", torch.from_numpy(indices).to(device))
        self.bias = nn.Parameter(torch.zeros(self.out_features, device=device, dtype=real)) if bias else None
        self.topology_version = 0
        self.gradient_probe: GradientProbe | None = None
        self._csc: tuple[tuple[int, torch.device], tuple[Tensor, Tensor, Tensor]] | None = None

    @classmethod
    def from_scipy(cls, matrix: Any, *, bias: Tensor | NDArray[Any] | None = None) -> SparseLinear:
        """Return a layer with the synapses and weights of a scipy sparse matrix (out_features, in_features).

        Explicit zeros stay synapses, and rows without any are allowed. Float32 and float64 keep their type, integers
        become torch's default one. `bias`: shape (out_features,). Raises `ValidationError` for duplicates, NaN, and
        shapes that do not fit.
        """
        coo = sp.coo_array(matrix)
        if coo.ndim != 2:
            raise ValidationError(
                f"SparseLinear.from_scipy: needs a matrix (out_features, in_features), got shape {coo.shape}"
            )
        n_target, n_source = coo.shape
        sites = coo.row.astype(np.int64) * n_source + coo.col
        order = np.argsort(sites, kind="stable")
        if (np.diff(sites[order]) == 0).any():
            raise ValidationError(
                "SparseLinear.from_scipy: the matrix has duplicate entries; call sum_duplicates() first"
            )
        if coo.data.dtype.kind not in "biuf" or not np.isfinite(coo.data).all():
            raise ValidationError(f"SparseLinear.from_scipy: weights must be finite real numbers, got {coo.data.dtype}")
        values = torch.from_numpy(np.ascontiguousarray(coo.data[order]))
        if not values.is_floating_point():
            values = values.to(torch.get_default_dtype())
        layer = cls(n_source, 1, n_synapses=1, generator=np.random.default_rng(0))
        layer.out_features = checked_size("out_features", n_target)
        layer.set_topology(sites[order], values)
        if bias is not None:
            vector = torch.as_tensor(bias).detach()
            if vector.shape != (n_target,):
                raise ValidationError(
                    f"SparseLinear.from_scipy.bias: has shape {tuple(vector.shape)}, the matrix has {n_target} rows"
                )
            layer.bias = nn.Parameter(vector.to(values.dtype).clone())
        return layer

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x W^T + b``; `x` of shape (..., in_features)."""
        refused = why_not_an_input(x, self.values)
        if refused:
            raise ValidationError(f"SparseLinear: input {refused}")
        if x.shape[-1:] != (self.in_features,):
            raise ValidationError(f"SparseLinear: input has shape {tuple(x.shape)}, expected (..., {self.in_features})")
        if x.dtype != self.values.dtype:
            raise ValidationError(
                f"SparseLinear: input is {x.dtype}, the weights are {self.values.dtype}; convert one of them, "
                f"for instance x.to({self.values.dtype})"
            )
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
        return self._keys(self.indptr.cpu().numpy(), self.indices.cpu().numpy())

    def _keys(self, indptr: NDArray[Any], indices: NDArray[Any]) -> NDArray[np.int64]:
        rows = np.repeat(np.arange(self.out_features, dtype=np.int64), np.diff(indptr))
        return rows * self.in_features + indices

    def set_topology(self, sites: NDArray[np.int64], values: Tensor) -> None:
        """Make `sites` (K', sorted keys) the live synapses, with `values` (K',), taken over without a copy.

        The parameter object stays, its gradient is dropped; optimizer state is the caller's business.
        """
        if values.shape != sites.shape:
            raise ValidationError(f"SparseLinear.values: {tuple(values.shape)} values for {sites.shape} sites")
        indptr, indices = csr_from_sites(sites, self.out_features, self.in_features)
        parameter, values = self.values, values.detach()
        device = parameter.device
        if values.shape != parameter.shape:
            # A graph still alive, such as the loss of the last step, keeps the parameter's gradient accumulator, which
            # expects the old K. Torch makes a new one only when the type changes, so it does for a moment.
            other = torch.float64 if parameter.dtype != torch.float64 else torch.float32
            parameter.data = torch.empty(0, dtype=other, device=device)
        parameter.data = values.to(device)
        parameter.grad = None  # its entries belong to the old synapses
        # past nn.Module's assignment, which takes as long as all the rest of a rewiring step's call
        self._buffers["indptr"] = torch.from_numpy(indptr).to(device)
        self._buffers["indices"] = torch.from_numpy(indices).to(device)
        self.__dict__["topology_version"] += 1

    def csc(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return the transposed (CSC) index, all int32.

        Pointers (in_features + 1,), then per synapse (K,), source by source, its target neuron and its slot in
        `values`.
        """
        key = (self.topology_version, self.indices.device)
        if self._csc is None or self._csc[0] != key:
            arrays = csc_from_csr(self.indptr.cpu().numpy(), self.indices.cpu().numpy(), self.in_features)
            pointers, rows, slots = (torch.from_numpy(array).to(key[1]) for array in arrays)
            self._csc = (key, (pointers, rows, slots))
        return self._csc[1]

    def to_scipy(self) -> sp.csr_array:
        """Return W as a `scipy.sparse.csr_array` (out_features, in_features), a copy."""
        parts = (part.detach().cpu().numpy().copy() for part in (self.values, self.indices, self.indptr))
        return sp.csr_array(tuple(parts), shape=(self.out_features, self.in_features))

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
        """Accept a state with other synapses, and another number of them: rewiring moves them, also between layers."""
        parts = [state_dict.get(prefix + name) for name in ("indptr", "indices", "values")]
        if all(isinstance(part, Tensor) for part in parts):
            indptr, indices, values = (part.detach().cpu().numpy() for part in parts if part is not None)
            self._check_state(prefix, indptr, indices, values)
            sites = self._keys(indptr, indices)
            if not np.array_equal(sites, self.sites):
                # a copy, because training goes on in the layer's values and the state is the caller's
                self.set_topology(sites, torch.tensor(values, dtype=self.values.dtype))
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)

    def _check_state(self, prefix: str, indptr: NDArray[Any], indices: NDArray[Any], values: NDArray[Any]) -> None:
        name = prefix.rstrip(".") or "SparseLinear"
        try:
            checked = Projection("state", "dict", indptr, indices, np.asarray(values, np.float64), self.in_features)
        except ValidationError as error:
            raise ValidationError(f"load_state_dict of {name}: {error}") from error
        if checked.shape[0] != self.out_features:
            raise ValidationError(
                f"load_state_dict of {name}.indptr: has {checked.shape[0]} rows, "
                f"the layer has {self.out_features} neurons"
            )


def why_not_an_input(x: object, weights: Tensor) -> str | None:
    """Return what keeps `x` from being multiplied with `weights`, but for shape and float type; None if nothing."""
    if not isinstance(x, Tensor):
        return f"is a {type(x).__name__}, would have to be a torch.Tensor (torch.as_tensor makes one)"
    if x.layout != torch.strided:
        return f"has layout {x.layout}, would have to be dense: x.to_dense()"
    if x.is_complex():
        return f"is {x.dtype}, would have to be real"
    if x.device != weights.device:
        there = str(weights.device)
        return f"is on {x.device}, the weights are on {there}; move one of them, for instance x.to({there!r})"
    return None
