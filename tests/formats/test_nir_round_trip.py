"""Any network survives NIR: every bit of it, whatever its shape, sizes and parameters."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import neurosparse as ns
from neurosparse.core.network import INPUT, Input, Network, Population, Projection
from neurosparse.core.neurons import LI, LIF, CubaLIF, Neuron
from neurosparse.formats.nir_write import to_nir

pytest.importorskip("nir", reason="pip install 'neurosparse[nir]'")

RESETS = ("subtract", "zero", "none")


@st.composite
def networks(draw: st.DrawFn) -> Network:
    """Networks of one to four populations, with loops, delays, parallel projections, zeros and signed zeros."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    dtype = draw(st.sampled_from([np.float32, np.float64]))
    names = draw(
        st.lists(
            st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.\-]{0,5}", fullmatch=True), min_size=1, max_size=4, unique=True
        )
    )
    names = [name for name in names if name != INPUT] or ["output"]
    sizes = {INPUT: draw(st.integers(1, 5)), **{name: draw(st.integers(1, 5)) for name in names}}

    def neuron(n: int) -> Neuron:
        decays = lambda: rng.choice([0.0, 1.0, np.nextafter(1, 0), *rng.random(3)], n).astype(dtype)  # noqa: E731
        bias = rng.choice([0.0, -0.0, rng.normal()], n).astype(dtype)
        threshold = (rng.random(n) + 0.01).astype(dtype)
        reset = draw(st.sampled_from(RESETS))
        kind = draw(st.sampled_from(["LIF", "CubaLIF", "LI"]))
        if kind == "LI":
            return LI(decays(), bias)
        if kind == "LIF":
            return LIF(decays(), threshold, reset, bias)
        return CubaLIF(decays(), decays(), threshold, reset, bias)

    projections = []
    for _ in range(draw(st.integers(0, 6))):
        source, target = draw(st.sampled_from([INPUT, *names])), draw(st.sampled_from(names))
        forward = source == INPUT or names.index(source) < names.index(target)
        delay = draw(st.integers(0 if forward else 1, 4))
        index = rng.random((sizes[target], sizes[source])) < 0.6
        indptr = np.append(0, np.cumsum(index.sum(axis=1)))
        weights = rng.choice([0.0, -0.0, 1e-30, *rng.normal(size=3)], int(index.sum())).astype(dtype)
        projections.append(Projection(source, target, indptr, np.nonzero(index)[1], weights, sizes[source], delay))
    kind = draw(st.sampled_from(["spikes", "graded", "analog"]))
    populations = [Population(name, sizes[name], neuron(sizes[name])) for name in names]
    return Network(Input(sizes[INPUT], kind), populations, projections, dt=draw(st.floats(1e-6, 1.0)))


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(network=networks())
def test_any_network_comes_back_from_a_graph_bit_for_bit(network: Network, tmp_path: Path) -> None:
    network.save(tmp_path / "before")
    ns.from_nir(to_nir(network)).network.save(tmp_path / "after")
    assert (tmp_path / "after").read_bytes() == (tmp_path / "before").read_bytes()


@settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(network=networks())
def test_and_from_a_file(network: Network, tmp_path: Path) -> None:
    (tmp_path / "x.nir").unlink(missing_ok=True)
    ns.export(network, tmp_path / "x.nir", to="nir")
    network.save(tmp_path / "before")
    ns.from_nir(tmp_path / "x.nir").network.save(tmp_path / "after")
    assert (tmp_path / "after").read_bytes() == (tmp_path / "before").read_bytes()
