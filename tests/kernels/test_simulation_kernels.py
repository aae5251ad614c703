"""A network as tables, and the checked way into the compiled simulator."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from neurosparse.core.network import INPUT, Input, Network, Population, Projection
from neurosparse.core.neurons import LI, LIF, CubaLIF
from neurosparse.errors import ValidationError
from neurosparse.kernels.simulation import run_tables
from neurosparse.kernels.simulation_plan import Pop, Proj, make_tables


def edge(source: str, target: str, delay: int = 0, *, n_source: int = 2) -> Projection:
    return Projection.from_dense(source, target, np.ones((2, n_source), np.float32), delay=delay)


def network_with_a_loop() -> Network:
    """Input -> a -> b <-> c -> d, and d listed first."""
    populations = [Population(name, 2, LIF()) for name in "dcba"]
    projections = [
        edge("c", "d"),
        edge("b", "c"),
        edge("c", "b", 1),
        edge("a", "b", 2),
        edge(INPUT, "a", n_source=3),
    ]
    return Network(Input(3), populations, projections)


def test_populations_of_a_loop_form_one_component_between_the_others() -> None:
    tables = make_tables(network_with_a_loop(), ())
    assert tables.names == ("a", "b", "c", "d")
    assert tables.layout.components.tolist() == [[0, 1, 0], [1, 3, 1], [3, 4, 0]]
    projections = [Proj(*row) for row in tables.layout.projections.tolist()]
    # into a, into b (from c inside the loop, then from a), into c, into d
    assert [p.inner for p in projections] == [0, 1, 0, 1, 0]
    assert [p.n_groups for p in projections] == [1, 0, 1, 0, 1]  # spikes within a loop go by source
    assert [p.delay for p in projections] == [0, 1, 2, 0, 0]
    assert [p.slot for p in projections] == [0, 0, 1, 0, 0]  # off the grid two sums are kept apart


def test_populations_stand_side_by_side_in_whole_vectors() -> None:
    populations = [Population("a", 17, CubaLIF(reset="zero")), Population("b", 3, LI(bias=0.5))]
    tables = make_tables(Network(Input(5), populations, []), ("b",))
    a, b = (Pop(*row) for row in tables.layout.populations.tolist())
    assert (a.first, a.n, a.n_padded, a.filtered, a.wipe, a.trace_first) == (0, 17, 32, 1, 0xFFFF, -1)
    assert (b.first, b.n, b.n_padded, b.filtered, b.wipe, b.trace_first) == (32, 3, 16, 0, 0, 0)
    beta, alpha, threshold, subtracted, bias = tables.layout.parameters
    assert threshold[16:18].tolist() == [1.0, np.inf]  # nothing spikes in the padding
    assert not subtracted.any()
    assert np.flatnonzero(bias).tolist() == [32, 33, 34]
    assert tables.layout.resting.tolist() == [1, 1, 0]
    assert alpha[0] == beta[0] == np.float32(0.9)


def test_targets_are_listed_by_source_in_ascending_order() -> None:
    projection = Projection.from_dense(INPUT, "a", np.float32([[1, 0, 2], [3, 0, 0], [0, 0, 4]]))
    layout = make_tables(Network(Input(3), [Population("a", 3, LIF())], [projection]), ()).layout
    assert layout.columns.tolist() == [0, 2, 2, 4]
    assert layout.targets.tolist() == [0, 16, 0, 32]
    assert layout.column_weights.tolist() == [1, 3, 2, 4]


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.zeros((4, 1, 3), np.float32), "run_tables.x: has dtype float32, would have to be bool"),
        (np.zeros((4, 1, 2), bool), r"run_tables.x: has shape \(4, 1, 2\), would have to be \(any, any, 3\)"),
        (np.zeros((4, 3), bool), r"run_tables.x: has shape \(4, 3\)"),
        (np.zeros((4, 2, 3), bool)[:, ::2], "run_tables.x: is not C-contiguous"),
    ],
)
def test_other_inputs_never_reach_compiled_code(x: Any, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        run_tables(make_tables(network_with_a_loop(), ()), x)


def test_no_thread_at_all_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"run_tables\.threads: is 0"):
        run_tables(make_tables(network_with_a_loop(), ()), np.zeros((1, 1, 3), bool), threads=0)
