"""A parallel kernel has two forms; which of them runs must not be seen in the result."""

from __future__ import annotations

import numpy as np
import pytest

from neurosparse.kernels import jit
from neurosparse.kernels.lanes import Lanes, count_spikes, pack_spikes, to_rows
from neurosparse.kernels.layers import Sparse, backward, forward, make_cells
from neurosparse.kernels.membrane import ATAN, SUBTRACT
from neurosparse.kernels.products import input_gradient, product, value_gradient
from neurosparse.kernels.topology import csc_from_csr, csr_from_sites


def a_layer_both_ways() -> list[bytes]:
    rng = np.random.default_rng(0)
    n_target, n_source, lanes = 37, 53, Lanes(7, 19)
    sites = np.sort(rng.choice(n_target * n_source, 300, replace=False))
    indptr, indices = csr_from_sites(sites, n_target, n_source)
    values = rng.standard_normal(300).astype(np.float32)
    words = pack_spikes((rng.random((7, 19, n_source)) < 0.3).astype(np.float32))
    assert words is not None
    cells = make_cells(SUBTRACT, None, np.full(n_target, 0.9, np.float32), np.ones(n_target, np.float32))
    found = []
    for method in ("words", "events"):
        linear = Sparse(indptr, indices, values, words, method)
        state = forward(linear, None, cells, lanes)
        gradient = rng.standard_normal((7, 19, n_target)).astype(np.float32)
        adjoint = backward(
            state, cells, lanes, ATAN, 2.0, g_spikes=gradient, g_voltages=to_rows(gradient), linear=linear,
            want_bias=True, want_beta=True, current="tiles",
        )  # fmt: skip
        csc = csc_from_csr(indptr, indices, n_source)
        rows = product(indptr, indices, values, words)
        found += [
            state.v[:, :], state.words, adjoint.values, adjoint.bias, adjoint.beta, rows, count_spikes(state.words),
            value_gradient(indptr, indices, words, rows),
            input_gradient(*csc, values, adjoint.current, lanes, steps_layout=True),
        ]  # fmt: skip
    return [np.ascontiguousarray(array).tobytes() for array in found]


def test_threads_and_one_thread_compute_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jit, "_PARALLEL_WORK", 10**18)
    serial = a_layer_both_ways()
    monkeypatch.setattr(jit, "_PARALLEL_WORK", 0)
    assert a_layer_both_ways() == serial


def test_little_work_runs_on_one_thread_and_much_work_on_several(monkeypatch: pytest.MonkeyPatch) -> None:
    class Forms:
        serial = staticmethod(lambda: "serial")
        threaded = staticmethod(lambda: "threaded")

    monkeypatch.setattr(jit, "_PARALLEL_WORK", 100)
    assert [jit.run(Forms, work) for work in (0, 99, 100)] == ["serial", "serial", "threaded"]  # type: ignore[arg-type]


def test_the_two_forms_are_kept_in_files_of_their_own() -> None:
    from neurosparse.kernels.compiled import forward_sparse

    names = [form._cache._cache_file._index_name for form in (forward_sparse.serial, forward_sparse.threaded)]
    assert len(set(names)) == 2
    assert all(jit.fingerprint()[:12] in name for name in names)
