"""`Violation`: one thing that a network needs and a chip does not have, and what would make it fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from neurosparse.errors import CapacityError

__all__ = ["Violation", "raise_violations"]


@dataclass(frozen=True)
class Violation:
    """What is exceeded.

    Parameters
    ----------
    owner : str
        Population, projection or network, as in ``"population 'hidden1'"``.
    resource : str
        What it needs too much of, or what the chip cannot do.
    needed, available : int or str
        On both sides.
    remedy : str
        What would make it fit.
    """

    owner: str
    resource: str
    needed: int | str
    available: int | str
    remedy: str

    def __str__(self) -> str:
        needed, available = (
            f"{n:,}".replace(",", " ") if isinstance(n, int) else n for n in (self.needed, self.available)
        )
        return f"{self.owner}.{self.resource}: needs {needed}, there is {available}; {self.remedy}"


def raise_violations(what: str, chip: str, violations: Sequence[Violation]) -> None:
    """Raise `CapacityError` with every one of `violations`, if there are any."""
    if violations:
        lines = "\n".join(f"  {violation}" for violation in violations)
        n = len(violations)
        raise CapacityError(f"{what} does not fit {chip}, {n} violation{'s' * (n > 1)}:\n{lines}", violations)
