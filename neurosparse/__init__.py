"""Train sparse, rewiring spiking networks in snnTorch; run the same spikes in Brian2 and on Lava/Loihi.

Public names are imported on first use (PEP 562): ``import neurosparse`` pulls neither torch nor a simulator.
"""

from __future__ import annotations

import importlib as _importlib
from typing import Any as _Any

__version__ = "0.1.0"

_PUBLIC = {
    "Network": "neurosparse.core.network",
    "Population": "neurosparse.core.network",
    "Input": "neurosparse.core.network",
    "Projection": "neurosparse.core.projection",
    "LIF": "neurosparse.core.neurons",
    "CubaLIF": "neurosparse.core.neurons",
    "LI": "neurosparse.core.neurons",
    "QuantizedNetwork": "neurosparse.core.quantized",
    "Recording": "neurosparse.core.recording",
    "quantize": "neurosparse.deploy.quantize",
    "ChipSpec": "neurosparse.deploy.chip",
    "place": "neurosparse.deploy.placement",
    "simulate": "neurosparse.backends",
    "parity": "neurosparse.analysis.parity",
    "compact": "neurosparse.core.compaction",
    "export": "neurosparse.formats.export",
    "from_nir": "neurosparse.formats.nir",
    "SparseLinear": "neurosparse.nn.sparse",
    "SparseSNN": "neurosparse.nn.network",
    "QuantizedSNN": "neurosparse.nn.quantized",
    "Recurrent": "neurosparse.nn.network",
    "readout": "neurosparse.nn.network",
    "sparsify": "neurosparse.nn.sparsify",
    "DeepR": "neurosparse.rewiring.deep_r",
    "GlobalDeepR": "neurosparse.rewiring.deep_r",
    "Static": "neurosparse.rewiring.static",
    "MLGeNNDeepR": "neurosparse.rewiring.deep_r_mlgenn",
    "DeepRRigL": "neurosparse.rewiring.deep_r_rigl",
    "BayesianConnectivity": "neurosparse.rewiring.bayesian_connectivity",
    "SET": "neurosparse.rewiring.set",
    "DSR": "neurosparse.rewiring.dsr",
    "RigL": "neurosparse.rewiring.rigl",
    "ESLSNN": "neurosparse.rewiring.esl_snn",
    "NDSNN": "neurosparse.rewiring.ndsnn",
}
_SUBPACKAGES = {
    "analysis": "neurosparse.analysis",
    "backends": "neurosparse.backends",
    "data": "neurosparse.data",
    "formats": "neurosparse.formats",
    "errors": "neurosparse.errors",
    "losses": "neurosparse.training.losses",
    "nn": "neurosparse.nn",
    "pruning": "neurosparse.pruning",
    "rewiring": "neurosparse.rewiring",
    "training": "neurosparse.training",
}

__all__ = ["__version__", *sorted([*_PUBLIC, "errors", "losses"])]


def __getattr__(name: str) -> _Any:
    if name in _PUBLIC:
        return getattr(_importlib.import_module(_PUBLIC[name]), name)
    if name in _SUBPACKAGES:
        return _importlib.import_module(_SUBPACKAGES[name])
    raise AttributeError(f"module 'neurosparse' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*__all__, *_SUBPACKAGES})
