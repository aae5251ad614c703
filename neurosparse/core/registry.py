"""Names -> objects, imported on first use; third parties add theirs through entry points."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Mapping
from importlib.metadata import entry_points
from typing import Any

from neurosparse.errors import UnknownNameError

__all__ = ["Registry"]


class Registry:
    """A family of named things: ``{"deep_r": "neurosparse.rewiring.deep_r:DeepR"}``.

    Nothing is imported before `get`. Installed packages extend a registry by an entry point in the group
    ``neurosparse.<kind>`` (for instance ``[project.entry-points."neurosparse.backends"]``).
    """

    def __init__(self, kind: str, entries: Mapping[str, str]) -> None:
        self.kind = kind
        self._entries = dict(entries)
        self._third_party: dict[str, Any] | None = None

    def names(self) -> list[str]:
        """Return all names: ours in the order of registration, then those of third parties."""
        return [*self._entries, *(name for name in self._plugins() if name not in self._entries)]

    def get(self, name: str) -> Any:
        """Import and return the object called `name`; `UnknownNameError` lists what there is."""
        if name in self._entries:
            module, _, attribute = self._entries[name].partition(":")
            # A look first: to be told that a module is there already takes longer than some calls of what is in it.
            return getattr(sys.modules.get(module) or importlib.import_module(module), attribute)
        if name in self._plugins():
            return self._plugins()[name].load()
        raise UnknownNameError(self.kind, name, self.names())

    def __contains__(self, name: object) -> bool:
        return name in self._entries or name in self._plugins()

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def _plugins(self) -> dict[str, Any]:
        if self._third_party is None:
            self._third_party = {point.name: point for point in entry_points(group=f"neurosparse.{self.kind}")}
        return self._third_party
