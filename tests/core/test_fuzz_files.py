"""Damaged and forged files: whatever they hold, loading ends with a network or one of our errors, in little memory."""

import collections
import resource
import sys
import tracemalloc

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from neurosparse.core.network import Network
from neurosparse.core.recording import Recording
from neurosparse.errors import ArtifactError, ValidationError

from .examples import one_of_everything
from .mutations import mutated
from .test_first_release import DATA

LIMIT_BYTES = 50e6
FUZZ = settings(
    max_examples=2000, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


def peak_rss():
    """High-water mark of this process in bytes (kilobytes on Linux, bytes on macOS)."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def load_and_measure(load, path):
    """Return what became of loading `path`: the kind of error or "loaded"."""
    tracemalloc.start()
    try:
        loaded = load(path)
        outcome = "loaded"
    except (ArtifactError, ValidationError) as error:
        # an error that does not name the file, or of another class, is an outcome that the test does not expect
        outcome = type(error).__name__ if str(error).startswith(str(path)) else repr(error)
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < LIMIT_BYTES
    if outcome == "loaded":
        loaded.save(path)  # what loads is whole: it can be written again
        repr(loaded)
    return outcome


@pytest.fixture(scope="module")
def good_files(tmp_path_factory):
    path = tmp_path_factory.mktemp("good") / "double"
    one_of_everything(dtype=float, grid=False).save(path)
    return [(DATA / "network_v1.safetensors").read_bytes(), path.read_bytes()]


def test_two_thousand_damaged_networks_crash_nothing(good_files, tmp_path):
    path = tmp_path / "network.safetensors"
    outcomes = collections.Counter()
    before = peak_rss()

    @FUZZ
    @given(content=st.sampled_from(good_files).flatmap(mutated))
    def fuzz(content):
        path.write_bytes(content)
        outcomes[load_and_measure(Network.load, path)] += 1

    fuzz()
    assert peak_rss() - before < LIMIT_BYTES
    assert outcomes.total() >= 2000
    # the damage reaches every stage: the file format, the content, and harmless changes
    assert set(outcomes) == {"ArtifactError", "ValidationError", "loaded"}
    assert all(count > 50 for count in outcomes.values()), outcomes


def test_five_hundred_damaged_recordings_crash_nothing(tmp_path):
    path = tmp_path / "recording.safetensors"
    good = (DATA / "recording_v1.safetensors").read_bytes()
    outcomes = collections.Counter()

    @settings(FUZZ, max_examples=500)
    @given(content=mutated(good))
    def fuzz(content):
        path.write_bytes(content)
        outcomes[load_and_measure(Recording.load, path)] += 1

    fuzz()
    assert {"ArtifactError", "loaded"} <= set(outcomes) <= {"ArtifactError", "ValidationError", "loaded"}
