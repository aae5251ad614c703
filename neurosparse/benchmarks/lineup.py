"""Who can take part here: the peers, the interpreters they run in, and how to get those that are missing."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from neurosparse.errors import UnknownNameError, ValidationError

__all__ = ["PEERS", "Lineup", "Peer", "find_peers"]


@dataclass(frozen=True)
class Peer:
    """A package we are compared with.

    Attributes
    ----------
    package : str
        Its distribution, whose version is reported.
    module : str
        What must be importable where it runs.
    separate : bool
        Whether it needs an environment of its own: it would pull another torch or other versions into ours.
    """

    package: str
    module: str
    separate: bool


PEERS: dict[str, Peer] = {
    "neurosparse": Peer("neurosparse", "neurosparse", False),
    "snntorch": Peer("snntorch", "snntorch", False),
    "torch_csr": Peer("torch", "torch", False),
    "spikingjelly": Peer("spikingjelly", "spikingjelly", True),
    "norse": Peer("norse", "norse", True),
    "sparseprop": Peer("sparseprop", "sparseprop", True),
    "sparselab": Peer("sparselab", "sparselab", True),
    "brian2": Peer("brian2", "brian2", False),
    "lava": Peer("lava-nc", "neurosparse", False),  # the backend of this interpreter finds Lava's own
}
"""By the name of the file in ``peers/``."""


@dataclass(frozen=True)
class Lineup:
    """The interpreter of each peer that takes part, and for each of the others the line that would change that."""

    pythons: dict[str, Path]
    missing: dict[str, str]


def find_peers(named: Mapping[str, Path] | None = None, folder: Path | None = None) -> Lineup:
    """Return which peers can take part.

    Parameters
    ----------
    named : mapping of str to Path
        Peer -> interpreter of an environment that has it.
    folder : Path
        Where each peer has an environment under its own name (``folder/norse``), as benchmarks/README.md makes them.

    Raises
    ------
    UnknownNameError, ValidationError
        For a name that is no peer, or an interpreter that is not there.
    """
    named = named or {}
    for name, python in named.items():
        if name not in PEERS:
            raise UnknownNameError("peer", name, PEERS)
        if not python.is_file():
            raise ValidationError(f"peer.{name}: {python} is not a file; give the interpreter of its environment")
    if folder is not None and not folder.is_dir():
        raise ValidationError(f"peers: {folder} is not a folder; it should hold one environment per peer")
    pythons, missing = {}, {}
    for name, peer in PEERS.items():
        if name in named:
            pythons[name] = named[name].absolute()
        elif folder is not None and peer.separate and (python := _interpreter(folder / name)).is_file():
            pythons[name] = python.absolute()
        elif importlib.util.find_spec(peer.module) is not None:
            pythons[name] = Path(sys.executable)
        else:
            missing[name] = "benchmarks/README.md says how to install it; `make peers`, then `--peers .peers`"
    return Lineup(pythons, missing)


def _interpreter(environment: Path) -> Path:
    return environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
