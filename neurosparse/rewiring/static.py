"""Static random connectivity: the control of every comparison."""

from __future__ import annotations

from dataclasses import dataclass

from neurosparse.rewiring.base import Method, Parts

__all__ = ["Static"]


@dataclass(frozen=True)
class Static(Method):
    """The initial random synapses are trained and never replaced."""

    def parts(self) -> Parts:
        """See `Method`."""
        return Parts()
