"""Methods that hold a dense matrix while they train and end with a sparse network.

They are the baselines that fully sparse training (`neurosparse.rewiring`) is measured against, and the right choice
where the memory of training does not matter. Each is a frozen dataclass; ``attach(model, optimizer, n_steps=...)``
gives a `neurosparse.pruning.base.Pruner`, whose ``finish()`` turns each `torch.nn.Linear` into a `SparseLinear`.
"""

from neurosparse.core.registry import Registry

PRUNING = Registry(
    "pruning methods",
    {
        "one_shot": "neurosparse.pruning.one_shot:OneShot",
        "gradual_magnitude": "neurosparse.pruning.gradual:GradualMagnitude",
        "autoprune": "neurosparse.pruning.generalisation_loss:AutoPrune",
        "lprune": "neurosparse.pruning.generalisation_loss:LPrune",
        "iterative_hard_thresholding": "neurosparse.pruning.hard_thresholding:IterativeHardThresholding",
        "dense_sparse_dense": "neurosparse.pruning.dense_sparse_dense:DenseSparseDense",
        "learning_compression": "neurosparse.pruning.learning_compression:LearningCompression",
        "dnw": "neurosparse.pruning.dnw:DNW",
        "dpf": "neurosparse.pruning.dpf:DPF",
        "sparse_momentum": "neurosparse.pruning.sparse_momentum:SparseMomentum",
        "stds": "neurosparse.pruning.stds:STDS",
        "grad_r": "neurosparse.pruning.grad_r:GradR",
        "soft_deep_r": "neurosparse.pruning.soft_deep_r:SoftDeepR",
        "upr": "neurosparse.pruning.upr:UPR",
        "lottery_ticket": "neurosparse.pruning.lottery_ticket:LotteryTicket",
    },
)
"""Every method by name. A method = one file + one line here."""

__all__ = ["PRUNING"]
