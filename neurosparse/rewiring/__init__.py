"""Rewiring methods, each a named composition of the same parts."""

from neurosparse.core.registry import Registry

METHODS = Registry(
    "methods",
    {
        "static": "neurosparse.rewiring.static:Static",
        "deep_r": "neurosparse.rewiring.deep_r:DeepR",
        "deep_r_global": "neurosparse.rewiring.deep_r:GlobalDeepR",
    },
)
"""Every method by name. A method = one file + one line here."""

__all__ = ["METHODS"]
