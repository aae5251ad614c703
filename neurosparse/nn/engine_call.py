"""What a call of a fused layer is about: its input, its synapses as they are now, its neurons, how to run it."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from neurosparse.errors import ValidationError
from neurosparse.kernels.choice import Plan
from neurosparse.kernels.lanes import Lanes
from neurosparse.nn.engine_neuron import Neurons
from neurosparse.nn.engine_source import Source

if TYPE_CHECKING:
    from neurosparse.nn.engine_owed import Owed
    from neurosparse.nn.sparse import SparseLinear

__all__ = ["Call", "Index"]


@dataclass(frozen=True)
class Index:
    """The sites of a sparse connection at the time of the call: CSR, and CSC if the input's gradient is wanted."""

    indptr: NDArray[np.int32]
    indices: NDArray[np.int32]
    n_source: int
    csc: tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]] | None
    layer: SparseLinear | None = None
    version: int = 0

    @property
    def probed(self) -> bool:
        """Whether a rewirer wants to know the gradient of dormant sites too."""
        return self.layer is not None and self.layer.gradient_probe is not None

    @classmethod
    def of(cls, layer: SparseLinear, *, transposed: bool) -> Index:
        """Return the index of `layer` as it is now."""
        csc = None
        if transposed:
            pointers, rows, slots = (part.numpy() for part in layer.csc())
            csc = (pointers, rows, slots)
        version = layer.topology_version
        return cls(layer.indptr.numpy(), layer.indices.numpy(), layer.in_features, csc, layer, version)

    def check_current(self) -> None:
        """Raise `ValidationError` if the layer was rewired since: its values now belong to other synapses."""
        if self.layer is not None and self.layer.topology_version != self.version:
            raise ValidationError(
                "SparseLinear: its synapses changed between forward and backward; rewire after loss.backward(), and "
                "run the forward pass again for another backward"
            )

    @property
    def n_target(self) -> int:
        """Number of target neurons."""
        return self.indptr.size - 1


@dataclass
class Call:
    """What a call of `FusedLayer` needs besides tensors, and the spikes it leaves.

    `index` is None for a dense weight, whose plan is dense. `recurrence` is the index of the recurrent connection, CSC
    included. `want_state`: whether the sequence will go on, from the state it ends in. `owed`: what the backward pass
    of the next layer has left to that of this one.
    """

    source: Source
    index: Index | None
    neurons: Neurons
    plan: Plan
    want_voltages: bool
    recurrence: Index | None = None
    want_state: bool = False
    owed: Owed | None = None
    words: NDArray[np.uint16] = field(default_factory=lambda: np.zeros((0, 0), np.uint16))

    @property
    def n(self) -> int:
        """Number of neurons."""
        return self.neurons.cells.beta.size

    @functools.cached_property
    def lanes(self) -> Lanes:
        """Geometry of the layer's own rows."""
        return Lanes(self.source.n_steps, self.source.lanes.n_samples)
