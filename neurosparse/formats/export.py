"""`export`: one network in the format of another program. What a format cannot hold is refused, never dropped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from numpy.typing import ArrayLike

from neurosparse.core.network import Network
from neurosparse.core.quantized import QuantizedNetwork
from neurosparse.core.registry import Registry
from neurosparse.errors import ArtifactError, UnknownNameError, UnsupportedError, ValidationError

__all__ = ["FOLDERS", "FORMATS", "INTEGER", "export"]

FORMATS = Registry(
    "formats",
    {
        "brian2": "neurosparse.formats.brian2_script:write_brian2_script",
        "lava": "neurosparse.formats.lava_bundle:write_lava_bundle",
        "nir": "neurosparse.formats.nir_write:write_nir",
        "scipy": "neurosparse.formats.scipy_folder:write_scipy_folder",
        "network": "neurosparse.formats.export:write_network",
    },
)
"""Format -> function (network, path, inputs) that writes it and returns the files. A format = one file + one line."""

FOLDERS = ("brian2", "lava", "scipy")
"""Formats that write a folder; the others write one file."""

INTEGER = ("lava",)
"""Formats of a chip's integers: they take a `QuantizedNetwork`."""


def export(
    network: Network | QuantizedNetwork, path: str | Path, *, to: str, inputs: ArrayLike | None = None
) -> list[Path]:
    """Write `network` to `path` in another format; return the files.

    Parameters
    ----------
    network : Network or QuantizedNetwork
        ``to="lava"`` takes a `QuantizedNetwork`, ``to="network"`` both, the other formats a `Network`.
    path : path
        A folder, empty or new, for brian2, lava and scipy; a file for nir and network. Nothing is overwritten.
    to : {"brian2", "lava", "nir", "scipy", "network"}
        ``brian2``: a readable script and its data. ``lava``: what runs in a bare Lava environment and on a chip.
        ``nir``: a graph in the Neuromorphic Intermediate Representation. ``scipy``: matrices and JSON.
        ``network``: our own file.
    inputs : array, shape (time, batch, n_inputs) or (time, n_inputs), optional
        Sample input to go with it (brian2, lava).

    Raises
    ------
    UnknownNameError
        For a format that does not exist.
    UnsupportedError
        For a network that the format cannot hold, with the reason.
    ValidationError, ArtifactError
        Where `path` would overwrite something, or cannot be written.
    """
    path = Path(path)
    if to not in FORMATS:
        raise UnknownNameError("export --to", to, FORMATS)
    if path.is_file() or (path.is_dir() and (to not in FOLDERS or any(path.iterdir()))):
        raise ValidationError(f"export --out: {path} exists; nothing is overwritten, choose another path")
    wanted: type[Any] = QuantizedNetwork if to in INTEGER else Network
    if to != "network" and not isinstance(network, wanted):
        raise UnsupportedError(
            f"export --to {to}: takes a {wanted.__name__}, got a {type(network).__name__}; "
            + ("quantise it first" if to in INTEGER else "only --to lava takes a chip's integers")
        )
    try:
        files: list[Path] = FORMATS.get(to)(network, path, inputs)
    except OSError as error:
        raise ArtifactError(f"export --out: {path} cannot be written ({error.strerror or error})") from error
    return files


def write_network(network: Network | QuantizedNetwork, path: Path, inputs: ArrayLike | None = None) -> list[Path]:
    """Write `network` as our own file."""
    network.save(path)
    return [path]
