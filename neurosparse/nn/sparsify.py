"""Turn the dense layers of an existing model into sparse ones."""

from __future__ import annotations

import fnmatch
from typing import Literal

import numpy as np
import torch
from torch import nn

from neurosparse.errors import UnknownNameError, ValidationError
from neurosparse.nn.initial import numpy_generator
from neurosparse.nn.sparse import SparseLinear

__all__ = ["sparsify"]


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
        Make its optimizer afterwards: the dense weights are gone.
    density : float in (0, 1]
        Of each replaced layer.
    include : str
        Shell pattern over module names, for instance ``"fc*"``.
    select : {"random", "magnitude"}
        ``random``: new random synapses and weights; ``magnitude``: the largest weights of the dense layer stay, with
        their values (a neuron none of whose weights is among them gets no input).
    generator : numpy.random.Generator or torch.Generator, optional
        As for `SparseLinear`.

    Raises
    ------
    ValidationError
        If nothing matches, or `density` leaves a layer fewer synapses than neurons; the model is then as it was.
    """
    if select not in ("random", "magnitude"):
        raise UnknownNameError("sparsify.select", str(select), ["random", "magnitude"])
    if isinstance(model, nn.Linear):
        raise ValidationError(
            "sparsify.model: is itself an nn.Linear, which cannot be replaced in place; wrap it in a module"
        )
    rng = numpy_generator(generator)
    linear = {name: module for name, module in model.named_modules() if isinstance(module, nn.Linear)}
    found = [name for name in linear if fnmatch.fnmatchcase(name, include)]
    if not found:
        raise ValidationError(
            f"sparsify.include: {include!r} matches no nn.Linear; the model has {', '.join(linear) or 'none'}"
        )
    replacements = {name: _sparse(linear[name], density, select, rng) for name in found}
    for name, layer in replacements.items():
        parent, _, leaf = name.rpartition(".")
        setattr(model.get_submodule(parent), leaf, layer)
    return model


def _sparse(dense: nn.Linear, density: float, select: str, rng: np.random.Generator) -> SparseLinear:
    weight = dense.weight.detach()
    layer = SparseLinear(
        dense.in_features,
        dense.out_features,
        density,
        bias=dense.bias is not None,
        generator=rng,
        device=weight.device,
        dtype=weight.dtype,
    )
    if select == "magnitude":
        flat = weight.reshape(-1)
        kept = torch.topk(flat.abs(), layer.n_synapses).indices.sort().values
        layer.set_topology(kept.cpu().numpy().astype(np.int64), flat[kept])
    if dense.bias is not None and layer.bias is not None:
        layer.bias.data = dense.bias.detach().clone()
    return layer
