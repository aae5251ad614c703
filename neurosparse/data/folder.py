"""Where data files lie: the `root=` argument, else the folder that NEUROSPARSE_DATA names."""

from __future__ import annotations

import os
from pathlib import Path

from neurosparse.errors import DataNotFoundError

__all__ = ["DATA_VARIABLE", "data_folder"]

DATA_VARIABLE = "NEUROSPARSE_DATA"


def data_folder(dataset: str, root: str | os.PathLike[str] | None, files: str) -> Path:
    """Return the folder to search for the files of `dataset`.

    Parameters
    ----------
    dataset : its name, for the message
    root : the folder, or None for the environment variable; ``~`` is expanded
    files : what to place in it, in words, for the message

    Raises `DataNotFoundError` if no folder is named or the one named is not a folder.
    """
    origin = "root="
    # Empty text counts as unset, in both places: `NEUROSPARSE_DATA= command` is how shells switch a variable off.
    if not root:
        root, origin = os.environ.get(DATA_VARIABLE), f"{DATA_VARIABLE}="
    if not root:
        raise DataNotFoundError(
            f"{dataset}: no folder is named. Place {files} in a folder and pass root=FOLDER or set "
            f"{DATA_VARIABLE}=FOLDER"
        )
    folder = Path(root).expanduser()
    if not folder.is_dir():
        problem = "is a file, not a folder" if folder.exists() else "does not exist"
        raise DataNotFoundError(
            f"{dataset}: {origin}{folder} {problem}. Name the folder that holds {files}, by root=FOLDER or "
            f"{DATA_VARIABLE}=FOLDER"
        )
    return folder
