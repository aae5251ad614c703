"""Named random streams. Every literal here is a promise: the same seed gives the same numbers in every release."""

import json
import math
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from neurosparse.core.rng import generator_state, restore_generator, sample_distinct, stream
from neurosparse.errors import ValidationError

PINNED_STREAMS = [
    (
        0,
        ("weights",),
        [9440458582193405469, 15852280236716023183],
        [79, 511, 896, 859],
        [0.07469274684966609, -1.433502954694986],
    ),
    (
        0,
        ("shuffle", 3),
        [9987768522815159915, 10058836616624233492],
        [832, 541, 857, 545],
        [0.46225272713619453, 0.2491955051742669],
    ),
    (
        1,
        ("weights",),
        [14226649219601233084, 375726794191681140],
        [837, 771, 329, 20],
        [0.33780111411079233, 0.23701763751165436],
    ),
    (
        12345,
        ("rewiring",),
        [14100220579316477624, 833657141548210822],
        [143, 764, 853, 45],
        [0.22467553697389292, 0.5698751589201085],
    ),
    (
        0,
        (),
        [15771749410354480768, 2335728662426244504],
        [760, 854, 873, 126],
        [1.2895434222121032, -0.022067726745777762],
    ),
]
PINNED_SAMPLE = [137134916495, 491466064839, 542412918460, 609316435174, 979566115112]
PINNED_DENSE_SAMPLE = [0, 1, 2, 3, 5, 7, 8]


@pytest.mark.parametrize(
    ("seed", "names", "raw", "integers", "normals"),
    PINNED_STREAMS,
)
def test_streams_never_change(seed, names, raw, integers, normals):
    assert stream(seed, *names).bit_generator.random_raw(2).tolist() == raw
    assert stream(seed, *names).integers(1000, size=4).tolist() == integers
    assert stream(seed, *names).standard_normal(2).tolist() == normals


def test_streams_are_the_same_in_another_process_with_another_hash_seed():
    code = "from neurosparse.core.rng import stream; print(*stream(3, 'weights', 1).bit_generator.random_raw(4))"
    expected = stream(3, "weights", 1).bit_generator.random_raw(4).tolist()
    for hash_seed in ("0", "12345"):
        environment = {"PYTHONPATH": ":".join(sys.path), "PYTHONHASHSEED": hash_seed}
        done = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, timeout=60, check=True
        )
        assert [int(word) for word in done.stdout.split()] == expected


def test_different_names_and_seeds_give_unrelated_streams():
    keys = [
        (seed, name) for seed in range(6) for name in ("weights", "rewiring", "shuffle", "encoding", "0", "weights2")
    ]
    keys += [(0, "shuffle", epoch) for epoch in range(6)]
    draws = np.array([stream(*key).standard_normal(2000) for key in keys])
    correlation = np.corrcoef(draws) - np.eye(len(keys))
    # 861 pairs, standard deviation 1/sqrt(2000): 5.5 standard deviations
    assert np.abs(correlation).max() < 5.5 / np.sqrt(2000)


def test_the_order_of_creation_does_not_matter():
    alone = stream(0, "weights").random(3).tolist()
    for name in ("a", "b"):
        stream(0, name).random(1000)
    assert stream(0, "weights").random(3).tolist() == alone


def test_an_integer_name_means_its_digits_and_large_seeds_work():
    assert (
        stream(0, "shuffle", 12).random()
        == stream(0, "shuffle", "12").random()
        == stream(0, "shuffle", np.int64(12)).random()
    )
    assert stream(2**200, "a").random() != stream(2**200 + 1, "a").random()


@pytest.mark.parametrize("seed", [-1, 1.0, True, "0", None])
def test_a_seed_is_an_integer_from_0(seed):
    with pytest.raises(ValidationError, match=r"seed: must be an integer >= 0, got "):
        stream(seed, "weights")


@pytest.mark.parametrize("name", ["a/b", 1.5, True, None, ("a",)])
def test_a_name_that_could_be_another_is_refused(name):
    with pytest.raises(ValidationError, match=r"stream: a name is an integer or a text without '/', got "):
        stream(0, "weights", name)


def test_a_saved_generator_continues_where_it_was():
    generator = stream(5, "rewiring")
    generator.integers(10, size=7, dtype=np.int32)  # an odd number of halves leaves one 32-bit word waiting
    state = json.loads(json.dumps(generator_state(generator)))
    assert state["has_uint32"] == 1
    expected = generator.integers(2**31, size=20, dtype=np.int32).tolist()
    restored = restore_generator(state)
    assert restored.integers(2**31, size=20, dtype=np.int32).tolist() == expected


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bit_generator": "MT19937"}, r"generator: expected PCG64, got 'MT19937'"),
        ({"state": "12 34"}, r"generator: not a saved generator state \(ValueError"),
        ({"state": None}, r"generator: not a saved generator state \(TypeError"),
        ({"state": str(2**128)}, r"generator.state: must lie in \[0, 340282366920938463463374607431768211456\), got 3"),
        ({"inc": "-1"}, r"generator.inc: must lie in \[0, .*\), got -1"),
        ({"inc": "2"}, r"generator.inc: must be odd, got 2"),
        ({"has_uint32": 2}, r"generator.has_uint32: must lie in \[0, 2\), got 2"),
        ({"uinteger": 2**32}, r"generator.uinteger: must lie in \[0, 4294967296\), got 4294967296"),
    ],
)
def test_a_damaged_generator_state_is_refused(change, message):
    good = generator_state(stream(0, "a"))
    restore_generator(good)
    with pytest.raises(ValidationError, match=message):
        restore_generator({**good, **change})


def test_a_generator_state_with_a_missing_entry_is_refused():
    state = generator_state(stream(0, "a"))
    del state["inc"]
    with pytest.raises(ValidationError, match=r"generator: not a saved generator state \(KeyError\('inc'\)\)"):
        restore_generator(state)
    with pytest.raises(ValidationError, match=r"generator: not a saved generator state \(TypeError"):
        restore_generator(None)


def test_only_pcg64_can_be_saved():
    with pytest.raises(
        ValidationError, match=r"generator: only PCG64 \(as made by `stream`\) can be saved, got MT19937"
    ):
        generator_state(np.random.Generator(np.random.MT19937(0)))


@given(seed=st.integers(0, 1000), population=st.integers(0, 60), data=st.data())
def test_distinct_samples_are_distinct_sorted_and_in_range(seed, population, data):
    n = data.draw(st.integers(0, population))
    drawn = sample_distinct(stream(seed, "a"), population, n)
    assert drawn.dtype == np.int64
    assert drawn.shape == (n,)
    assert (np.diff(drawn) > 0).all()
    assert n == 0 or (drawn[0] >= 0 and drawn[-1] < population)


def test_distinct_samples_never_change():
    assert sample_distinct(stream(0, "births"), 10**12, 5).tolist() == PINNED_SAMPLE
    assert sample_distinct(stream(0, "births"), 10, 7).tolist() == PINNED_DENSE_SAMPLE


@pytest.mark.parametrize(("population", "n"), [(6, 2), (6, 3), (6, 4), (7, 1), (5, 4)])
def test_every_subset_is_equally_likely(population, n):
    generator = stream(1, "subsets", population, n)
    draws = [tuple(sample_distinct(generator, population, n).tolist()) for _ in range(6000)]
    counts = np.unique(np.array(draws), axis=0, return_counts=True)[1]
    assert len(counts) == math.comb(population, n)
    assert stats.chisquare(counts).pvalue > 1e-3


def test_every_site_of_a_large_population_is_equally_likely():
    generator = stream(2, "large")
    drawn = np.concatenate([sample_distinct(generator, 3_600_000_000, 20_000) for _ in range(10)])
    counts = np.histogram(drawn, bins=100, range=(0, 3_600_000_000))[0]
    assert stats.chisquare(counts).pvalue > 1e-3


def test_a_sample_costs_its_own_size_and_not_that_of_the_population():
    n = 100_000
    generator = stream(0, "memory")
    tracemalloc.start()
    try:
        drawn = sample_distinct(generator, 60_000 * 60_000, n)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert drawn.size == n
    assert peak < 100 * n  # about ten arrays of int64; one bit per site would be 450 MB


@pytest.mark.parametrize(
    ("population", "n", "message"),
    [
        (3, 4, r"n: cannot draw 4 distinct values from 3"),
        (3, -1, r"n: cannot draw -1 distinct values from 3"),
        (2**63, 1, r"n: cannot draw 1 distinct values from 9223372036854775808"),
        (3.0, 1, r"population: must be an integer, got 3.0"),
        (3, 1.0, r"n: must be an integer, got 1.0"),
        (3, True, r"n: must be an integer, got True"),
    ],
)
def test_impossible_samples_are_refused(population, n, message):
    with pytest.raises(ValidationError, match=message):
        sample_distinct(stream(0, "a"), population, n)
