"""A contestant in a process of its own: what it is told, what it answers, and every way in which it can fail."""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from neurosparse.benchmarks import process
from neurosparse.benchmarks.process import ContestantProcess
from neurosparse.benchmarks.workload import write
from neurosparse.errors import SidecarError

CONTESTANT = """
import os, sys, time

print("libraries print when they are imported")

class Counts:
    def __init__(self, work):
        self.total, self.by = 0, int(work.arrays["numbers"].sum()) * work.settings["factor"]

    def step(self):
        self.total += self.by
        time.sleep(0.01)

    def facts(self):
        print("and whenever they like")
        return {"total": self.total}

class Fails(Counts):
    def step(self):
        raise ValueError("step 1 is not possible")

class Dies(Counts):
    def step(self):
        print("these are my last words", flush=True)
        os._exit(3)

class Hangs(Counts):
    def step(self):
        time.sleep(60)

class Eats(Counts):
    def step(self):
        self.food = bytearray(4 * 10**9)

class Threads(Counts):
    def facts(self):
        return {name: float(os.environ[name]) for name in os.environ if name.endswith("_NUM_THREADS")}

class Paths(Counts):
    def facts(self):
        return {"ours_first": float("benchmarks" in sys.path[0])}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workload of the numbers 1, 2, 3 with factor 10, and the contestants above as the only peer."""
    (tmp_path / "peers").mkdir()
    (tmp_path / "peers" / "toy.py").write_text(textwrap.dedent(CONTESTANT))
    monkeypatch.setattr(process, "PEER_FOLDER", tmp_path / "peers")
    write(tmp_path / "work", {"factor": 10}, {"numbers": np.array([1, 2, 3])})
    return tmp_path / "work"


def start(part: str, **options: float) -> ContestantProcess:
    return ContestantProcess("toy", part, Path(sys.executable), n_threads=1, **options)  # type: ignore[arg-type]


def test_a_contestant_takes_its_steps_and_says_how_long_each_took(folder: Path) -> None:
    with start("Counts") as contestant:
        assert contestant.load(folder) > 0
        seconds = contestant.run(3)
        assert len(seconds) == 3
        assert min(seconds) >= 0.01
        facts = contestant.facts()
        assert facts["total"] == 3 * 60
        assert facts["peak_rss"] > 1e6
        contestant.load(folder)  # the next workload begins from nothing
        assert contestant.facts()["total"] == 0


def test_versions_are_those_of_the_environment_and_none_for_what_is_not_there(folder: Path) -> None:
    with start("Counts") as contestant:
        assert contestant.versions(["numpy", "no-such-package"]) == {"numpy": np.__version__, "no-such-package": None}


def test_an_error_of_a_contestant_is_told_with_its_traceback(folder: Path) -> None:
    with start("Fails") as contestant:
        contestant.load(folder)
        with pytest.raises(SidecarError, match=r"toy\.Fails: ValueError: step 1 is not possible(?s:.*)in step"):
            contestant.run(1)


def test_a_contestant_that_dies_leaves_its_status_and_its_last_words(folder: Path) -> None:
    with start("Dies") as contestant:
        contestant.load(folder)
        with pytest.raises(SidecarError, match=r"toy\.Dies: ended with status 3(?s:.*)these are my last words"):
            contestant.run(1)


def test_a_contestant_that_hangs_is_killed(folder: Path) -> None:
    with start("Hangs", time_limit_s=3.0) as contestant:
        contestant.load(folder)
        with pytest.raises(SidecarError, match=r"toy\.Hangs: gave no answer within 3 s and was killed"):
            contestant.run(1)


def test_the_limit_of_address_space_is_a_limit(folder: Path) -> None:
    with start("Eats", address_space=2 * 10**9) as contestant:
        contestant.load(folder)
        with pytest.raises(SidecarError, match="MemoryError"):
            contestant.run(1)


def test_every_library_gets_the_same_number_of_threads(folder: Path) -> None:
    with ContestantProcess("toy", "Threads", Path(sys.executable), n_threads=3) as contestant:
        contestant.load(folder)
        facts = contestant.facts()
    assert {facts[f"{name}_NUM_THREADS"] for name in ("OMP", "MKL", "OPENBLAS", "NUMBA")} == {3.0}


def test_the_folder_of_the_worker_is_not_on_the_path_of_a_peer(folder: Path) -> None:
    with start("Paths") as contestant:
        contestant.load(folder)
        assert contestant.facts()["ours_first"] == 0.0


@pytest.mark.parametrize(("peer", "part"), [("toy", "Nobody"), ("nothing", "Counts")])
def test_a_contestant_that_does_not_exist_is_an_error(folder: Path, peer: str, part: str) -> None:
    with (
        ContestantProcess(peer, part, Path(sys.executable), n_threads=1) as contestant,
        pytest.raises(SidecarError, match=f"{peer}.{part}"),
    ):
        contestant.load(folder)


def test_an_interpreter_that_cannot_start_is_an_error(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(SidecarError, match=r"toy\.Counts: .*no-python could not be started"):
        ContestantProcess("toy", "Counts", tmp_path / "no-python", n_threads=1)
