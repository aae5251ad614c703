"""Rewiring methods, each a named composition of the same parts."""

from neurosparse.core.registry import Registry

METHODS = Registry(
    "methods",
    {
        "static": "neurosparse.rewiring.static:Static",
        "deep_r": "neurosparse.rewiring.deep_r:DeepR",
        "deep_r_global": "neurosparse.rewiring.deep_r:GlobalDeepR",
        "deep_r_mlgenn": "neurosparse.rewiring.deep_r_mlgenn:MLGeNNDeepR",
        "deep_r_rigl": "neurosparse.rewiring.deep_r_rigl:DeepRRigL",
        "bayesian_connectivity": "neurosparse.rewiring.bayesian_connectivity:BayesianConnectivity",
        "set": "neurosparse.rewiring.set:SET",
        "dsr": "neurosparse.rewiring.dsr:DSR",
        "rigl": "neurosparse.rewiring.rigl:RigL",
        "esl_snn": "neurosparse.rewiring.esl_snn:ESLSNN",
        "ndsnn": "neurosparse.rewiring.ndsnn:NDSNN",
    },
)
"""Every method by name. A method = one file + one line here."""

__all__ = ["METHODS"]
