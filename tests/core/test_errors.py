"""The errors: one base class, the near miss, and that they survive a process boundary."""

import inspect
import pickle

import pytest

from neurosparse import errors
from neurosparse.core.checks import check_count, check_duration

CLASSES = [c for _, c in inspect.getmembers(errors, inspect.isclass) if issubclass(c, Exception)]


def test_one_except_clause_catches_them_all():
    assert len(CLASSES) >= 9
    for error in CLASSES:
        assert issubclass(error, errors.NeurosparseError)
        assert error.__doc__


@pytest.mark.parametrize(
    ("error", "builtin"),
    [
        (errors.ValidationError, ValueError),
        (errors.UnknownNameError, LookupError),
        (errors.UnsupportedError, NotImplementedError),
        (errors.MissingDependencyError, ImportError),
        (errors.SidecarError, RuntimeError),
        (errors.DataNotFoundError, errors.ArtifactError),
    ],
)
def test_each_is_also_the_builtin_that_python_would_raise(error, builtin):
    assert issubclass(error, builtin)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("brain2", r"^backends: 'brain2' is not known. Did you mean 'brian2'\? Known: brian2, lava, reference$"),
        ("xyz", r"^backends: 'xyz' is not known. Known: brian2, lava, reference$"),
        (3, r"^backends: 3 is not known. Known: brian2, lava, reference$"),
    ],
)
def test_an_unknown_name_lists_the_known_ones_and_the_nearest(name, message):
    with pytest.raises(errors.UnknownNameError, match=message):
        raise errors.UnknownNameError("backends", name, iter(["reference", "lava", "brian2"]))


def test_an_unknown_name_among_none():
    assert str(errors.UnknownNameError("grid", "a", [])) == "grid: 'a' is not known. Known: none"


def test_the_output_of_a_worker_is_kept_whole_and_its_end_shown():
    error = errors.SidecarError("Lava worker: died", output="first line\n" + "x" * 5000 + "\nlast line\n")
    assert str(error).startswith("Lava worker: died\n--- last output of the worker ---\nxxx")
    assert str(error).endswith("\nlast line")
    assert "first line" not in str(error)
    assert error.output.startswith("first line")
    assert str(errors.SidecarError("it never started")) == "it never started"


@pytest.mark.parametrize(
    "error",
    [
        errors.ValidationError("a.b: must be 1, got 2"),
        errors.UnknownNameError("backends", "brain2", ["brian2", "lava"]),
        errors.SidecarError("Lava worker: died", output="its last words"),
    ],
)
def test_errors_survive_a_process_boundary(error):
    other = pickle.loads(pickle.dumps(error))
    assert type(other) is type(error)
    assert str(other) == str(error)
    assert vars(other) == vars(error)


def test_counts_and_durations():
    assert check_count("n", 2**31 - 1) == 2**31 - 1
    assert check_duration("dt", 5) == 5.0
    with pytest.raises(errors.ValidationError, match=r"^x.n: must lie in \[1, 2\*\*31\), got 0$"):
        check_count("x.n", 0)
    with pytest.raises(errors.ValidationError, match=r"^x.dt: must be a duration in seconds > 0, got 1j$"):
        check_duration("x.dt", 1j)
