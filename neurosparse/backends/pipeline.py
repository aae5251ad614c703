"""The time alignment of pipelined engines, as backends import it; it lives in `neurosparse.core.pipeline`."""

from neurosparse.core.pipeline import Pipeline, impossible_loops, pipeline

__all__ = ["Pipeline", "impossible_loops", "pipeline"]
