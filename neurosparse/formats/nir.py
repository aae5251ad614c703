"""`from_nir`: networks out of the Neuromorphic Intermediate Representation, ours bit for bit, others' with assumptions.

It lives here and not as ``Network.from_nir``: the core knows no file format but its own.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np

from neurosparse.core.checks import check_duration
from neurosparse.core.inputs import InputKind
from neurosparse.core.network import Network
from neurosparse.core.neurons import Reset
from neurosparse.errors import ArtifactError, NeurosparseError, UnknownNameError, UnsupportedError, ValidationError
from neurosparse.formats.nir_file import read_tree
from neurosparse.formats.nir_foreign import foreign_network
from neurosparse.formats.nir_neurons import Convention, Discretization, IfGain
from neurosparse.formats.nir_read import is_ours, own_network

__all__ = ["NirImport", "from_nir"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class NirImport:
    """What was read.

    Attributes
    ----------
    network : Network
    assumptions : tuple of str
        What NIR does not say and was assumed, one sentence each; empty for a file that we have written.
    """

    network: Network
    assumptions: tuple[str, ...]

    def __str__(self) -> str:
        return "\n".join([repr(self.network), *(f"  assumed: {text}" for text in self.assumptions)])


def from_nir(
    source: str | Path | Any,
    *,
    dt: float | None = None,
    reset: Reset | None = None,
    discretization: Discretization = "euler",
    if_gain: IfGain | None = None,
    input_kind: InputKind | None = None,
    trust_metadata: bool = True,
) -> NirImport:
    """Read a network from a NIR graph: a ``.nir`` file, or a `nir.NIRGraph`.

    A graph that neurosparse has written gives the same network, bit for bit. In a graph of another program, LIF,
    CubaLIF, LI, IF and I nodes become populations; what lies between them (Affine, Linear, Scale, Delay, Flatten,
    subgraphs) becomes sparse projections and biases. Zero weights are no synapses.

    Parameters
    ----------
    source : path or nir.NIRGraph
    dt : float, optional
        Duration of a time step in seconds. NIR has none; another program's graph needs it (snnTorch: 1e-4).
    reset : {"zero", "subtract", "none"}, optional
        What a spike does. By default what NIR says, a reset to ``v_reset``; needed where a file has no ``v_reset``.
    discretization : {"euler", "exact"}
        The decay per step: ``1 - dt/tau`` (snnTorch, Norse, Lava, Spyx) or ``exp(-dt/tau)`` (sinabs, Rockpool, Nengo).
    if_gain : {"r", "r*dt"}, optional
        What an IF or I node multiplies its input by in one step. NIR says ``R dt``, some programs mean ``R``.
    input_kind : {"spikes", "graded", "analog"}, optional
        What enters the Input node; by default spikes.
    trust_metadata : bool
        False: read our own file as another program would.

    Returns
    -------
    NirImport
        Its ``network``, and its ``assumptions``, which are logged too (level info).

    Raises
    ------
    UnsupportedError
        For nodes that have no counterpart, and where the graph could mean several networks; the message says why and
        which argument decides.
    ArtifactError
        For a damaged file or graph, and for one of ours that another program has changed.
    """
    label = str(source) if isinstance(source, (str, Path)) else "NIRGraph"
    tree = read_tree(source) if isinstance(source, (str, Path)) else _tree_of(source)
    given = {"dt": dt, "reset": reset, "if_gain": if_gain, "input_kind": input_kind}
    for name, value, kinds in (
        ("reset", reset, Reset),
        ("discretization", discretization, Discretization),
        ("if_gain", if_gain, IfGain),
        ("input_kind", input_kind, InputKind),
    ):
        if value is not None and value not in get_args(kinds):
            raise UnknownNameError(f"from_nir: {name}", str(value), get_args(kinds))
    if trust_metadata and is_ours(tree):
        extra = [name for name, value in given.items() if value is not None]
        if extra:
            raise ValidationError(
                f"from_nir: {label} was written by neurosparse and says {', '.join(extra)} itself; leave out "
                f"{', '.join(extra)}, or give trust_metadata=False"
            )
        return NirImport(own_network(tree, label), ())
    if dt is None:
        raise UnsupportedError(
            f"from_nir: {label}: NIR has no time step, and its time constants mean nothing without one; give dt= in "
            "seconds (snnTorch writes for 1e-4, Norse for 1e-3 by default)"
        )
    convention = Convention(check_duration("from_nir: dt", dt), discretization, reset, if_gain)
    try:
        network, assumptions = foreign_network(tree, convention, input_kind)
    except NeurosparseError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError) as error:
        raise ArtifactError(f"from_nir: {label}: a node lacks what its type must have ({error!r})") from error
    for text in assumptions:
        logger.info("%s: assumed: %s", label, text)
    return NirImport(network, tuple(assumptions))


def _tree_of(graph: Any) -> dict[str, Any]:
    """Return a graph object as the dictionaries that its file would give."""
    to_dict = getattr(graph, "to_dict", None)
    tree = to_dict() if callable(to_dict) else None
    if not isinstance(tree, dict) or tree.get("type") != "NIRGraph":
        raise ValidationError(f"from_nir: takes a path or a nir.NIRGraph, got {type(graph).__name__}")
    return {key: _plain(value) for key, value in tree.items()}


def _plain(value: Any) -> Any:
    """Return what a program has put into a graph as NumPy has it: some leave their tensors in."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return np.asarray(value) if hasattr(value, "__array__") else value
