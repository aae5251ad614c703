"""Deaths and births: small cases by hand, everything else against NumPy's own concatenation and sorting."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurosparse.errors import ValidationError
from neurosparse.kernels.turnover import Turnover, slots_of


def i64(*keys: int) -> np.ndarray:
    return np.array(keys, dtype=np.int64)


def subset(values: list[int]) -> st.SearchStrategy[np.ndarray]:
    """Some of `values`: any, none or all of them."""
    some = st.sets(st.sampled_from(values)) if values else st.just(set())
    return st.one_of(some, st.just(set()), st.just(set(values))).map(lambda chosen: i64(*sorted(chosen)))


@st.composite
def turnovers(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Live sites, the slots of the dead, the sites of the newborn."""
    n_sites = draw(st.integers(0, 150))
    live = draw(subset(list(range(n_sites))))
    dead = draw(subset(list(range(live.size))))
    born = draw(subset(sorted(set(range(n_sites)) - set(np.delete(live, dead).tolist()))))
    return live, dead, born


def test_a_birth_before_between_and_after_the_survivors_lands_in_key_order() -> None:
    live, born = i64(3, 5, 8), i64(1, 4, 5, 9)
    change = Turnover(live, i64(1), born)
    assert change.born.tolist() == [0, 2, 3, 5]  # site 5 dies and is born again: a newborn, not a survivor
    assert change.moved(live, born).tolist() == [1, 3, 4, 5, 8, 9]
    assert change.moved(np.array([0.3, 0.5, 0.8])).tolist() == [0.0, 0.3, 0.0, 0.0, 0.8, 0.0]
    assert change.moved(live, 7).tolist() == [7, 3, 7, 7, 8, 7]
    assert change.survivors(live).tolist() == [3, 8]


@settings(deadline=None)
@given(turnovers(), st.sampled_from([np.float32, np.float64, np.int64, np.int32, np.int8]))
def test_what_moves_equals_numpys_delete_and_a_sort_by_site(
    turnover: tuple[np.ndarray, np.ndarray, np.ndarray], dtype: type
) -> None:
    live, dead, born = turnover
    array, newborn = np.arange(1, live.size + 1).astype(dtype), -np.arange(1, born.size + 1).astype(dtype)
    change = Turnover(live, dead, born)
    sites = np.concatenate([np.delete(live, dead), born])
    order = np.argsort(sites)
    assert np.array_equal(change.moved(live, born), sites[order])
    for argument, entries in ((newborn, newborn), (3, np.full(born.size, 3)), (None, np.zeros(born.size))):
        moved = change.moved(array, argument)
        assert moved.dtype == dtype
        assert np.array_equal(moved, np.concatenate([np.delete(array, dead), entries])[order])
    assert np.array_equal(change.survivors(array), np.delete(array, dead))
    assert np.array_equal(sites[order][change.born], born)
    assert np.array_equal(change.dead, dead)


def test_the_first_synapses_of_an_empty_layer_and_the_last_of_a_dying_one() -> None:
    assert Turnover(i64(), i64(), i64()).moved(np.empty(0)).size == 0
    assert Turnover(i64(), i64(), i64(4, 5)).moved(np.empty(0, np.float32)).tolist() == [0.0, 0.0]
    assert Turnover(i64(4, 5), i64(0, 1), i64()).moved(i64(4, 5)).size == 0
    assert Turnover(i64(4, 5), i64(0, 1), i64(4, 5)).moved(np.ones(2)).tolist() == [0.0, 0.0]


def test_long_runs_of_survivors_stay_whole() -> None:
    live = np.arange(0, 30_000, 3)
    change = Turnover(live, i64(0, 4_000, 9_999), i64(1, 29_999, 10**15))
    expected = np.concatenate([i64(1), live[1:4_000], live[4_001:9_999], i64(29_999, 10**15)])
    assert np.array_equal(change.moved(live, i64(1, 29_999, 10**15)), expected)


@pytest.mark.parametrize(
    ("live", "dead", "born", "message"),
    [
        (i64(1, 3), i64(), i64(5, 4), r"Turnover\.born: position 1 holds 4 after 5"),
        (i64(1, 3), i64(), i64(5, 5), r"Turnover\.born: position 1 holds 5 after 5"),
        (i64(1, 3), i64(), i64(-2), r"Turnover\.born: starts at -2, may not be negative"),
        (i64(1, 3), i64(0), i64(3), r"Turnover\.born: site 3 \(position 0\) is the site of a surviving synapse"),
        (i64(1, 3), i64(2), i64(), r"Turnover\.dead: position 0 is slot 2, there are 2 live synapses"),
        (i64(1, 3), i64(-1), i64(), r"Turnover\.dead: position 0 is slot -1, there are 2 live synapses"),
        (i64(1, 3), i64(1, 0), i64(), r"Turnover\.dead: position 1 holds 0 after 1"),
        (i64(1, 3), i64(1, 1), i64(), r"Turnover\.dead: position 1 holds 1 after 1"),
        (i64(1, 3).astype(np.int32), i64(), i64(), r"Turnover\.live: has dtype int32, would have to be int64"),
        (i64(1, 3), np.array([True, False]), i64(), r"Turnover\.dead: has dtype bool, would have to be int64"),
        (np.arange(4)[::2], i64(), i64(), r"Turnover\.live: is not C-contiguous"),
    ],
)
def test_slots_and_keys_that_cannot_be_are_refused(
    live: np.ndarray, dead: np.ndarray, born: np.ndarray, message: str
) -> None:
    with pytest.raises(ValidationError, match=message):
        Turnover(live, dead, born)


@given(st.lists(st.integers(-5, 5), max_size=8), st.data())
def test_whatever_the_live_keys_are_no_array_is_left(keys: list[int], data: st.DataObject) -> None:
    dead, born = data.draw(subset(list(range(len(keys))))), data.draw(subset(list(range(6))))
    try:
        change = Turnover(i64(*keys), dead, born)
    except ValidationError:
        return  # a key taken for that of a survivor
    assert (np.diff(change.born) > 0).all()
    assert ((change.born >= 0) & (change.born < len(keys) - dead.size + born.size)).all()
    survivors = np.delete(np.arange(1, len(keys) + 1), dead)
    moved = change.moved(np.arange(1, len(keys) + 1))
    assert moved[moved > 0].tolist() == survivors.tolist()


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros(3), r"moved\.array: has shape \(3,\), would have to be \(2,\)"),
        (np.zeros((2, 1)), r"moved\.array: has shape \(2, 1\)"),
        (np.zeros(2, np.complex64), r"moved\.array: has dtype complex64"),
        (np.zeros(2, ">f4"), r"moved\.array: has dtype >f4"),
        (np.zeros(4)[::2], r"moved\.array: is not C-contiguous"),
        ([0.0, 0.0], r"moved\.array: is a list"),
    ],
)
def test_arrays_of_something_else_are_refused(array: np.ndarray, message: str) -> None:
    change = Turnover(i64(1, 3), i64(0), i64(2))
    for move in (change.moved, change.survivors):
        with pytest.raises(ValidationError, match=message):
            move(array)


@given(st.lists(st.booleans(), max_size=40), st.integers(0, 9))
def test_slots_are_where_a_mask_is_true(start: list[bool], offset: int) -> None:
    mask = np.array(start + [False] * 30, bool)
    for part in (mask, mask[offset:], mask[:0], np.zeros(17, bool), np.ones(9, bool)):
        assert slots_of(part).tolist() == np.flatnonzero(part).tolist()


def test_slots_of_something_else_are_refused() -> None:
    with pytest.raises(ValidationError, match=r"slots_of\.mask: has dtype int64, would have to be bool"):
        slots_of(i64(0, 1))
