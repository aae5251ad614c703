"""IDX files: the bytes that are right, and every way they can be wrong."""

import gzip
import struct
import tracemalloc

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from neurosparse.data.idx import read_idx
from neurosparse.errors import ArtifactError

# 2 x 3 bytes, written out by hand
TINY = b"\x00\x00\x08\x02" + b"\x00\x00\x00\x02" + b"\x00\x00\x00\x03" + bytes([0, 1, 2, 253, 254, 255])


def header(*shape, code=0x08):
    return struct.pack(f">4B{len(shape)}I", 0, 0, code, len(shape), *shape)


@pytest.fixture(params=["plain", "gz"])
def write(request, tmp_path):
    def to(data):
        path = tmp_path / ("file-ubyte" if request.param == "plain" else "file-ubyte.gz")
        path.write_bytes(data if request.param == "plain" else gzip.compress(data))
        return path

    return to


def test_reads_what_the_format_says(write):
    array = read_idx(write(TINY), (2, 3))
    assert array.tolist() == [[0, 1, 2], [253, 254, 255]]
    assert array.dtype == np.uint8
    assert array.flags.writeable
    assert read_idx(write(TINY), (None, 3)).shape == (2, 3)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", r"not an IDX file; it starts with b''"),
        (b"\x00\x00\x08", "not an IDX file"),
        (b"PK\x03\x04" + bytes(20), "not an IDX file; it starts with b'PK"),
        (header(2, 3, code=0x0D) + bytes(24), r"IDX type 0x0d; only 0x08 \(unsigned byte\) is read"),
        (b"\x00\x00\x08\x00", "0 dimensions in the header; 1..4 can be right"),
        (b"\x00\x00\x08\xff" + bytes(2000), "255 dimensions in the header"),
        (TINY[:10], "ends inside its header"),
        (header(3, 2) + bytes(6), "expected an array of 2x3, the header says 3x2"),
        (header(6) + bytes(6), "expected an array of 2x3, the header says 6"),
        (TINY[:-1], "the header promises 6 bytes, only 5 follow; the file is damaged"),
        (TINY + b"\x00", "the header promises 6 bytes, more follow; the file is damaged"),
    ],
)
def test_damaged_content_is_refused_with_its_reason(write, data, message):
    path = write(data)
    with pytest.raises(ArtifactError, match=message) as caught:
        read_idx(path, (2, 3))
    assert str(path) in str(caught.value)


def test_a_header_that_promises_more_than_the_file_can_hold_allocates_nothing(write):
    path = write(header(4_000_000_000) + bytes(100))
    tracemalloc.start()
    try:
        with pytest.raises(ArtifactError, match="promises 4000000000 bytes, a file of this size holds at most"):
            read_idx(path, (None,))
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_a_gzip_bomb_is_read_no_further_than_promised(tmp_path):
    path = tmp_path / "bomb-ubyte.gz"
    path.write_bytes(gzip.compress(header(10) + bytes(100_000_000), compresslevel=1))
    tracemalloc.start()
    try:
        with pytest.raises(ArtifactError, match="promises 10 bytes, more follow"):
            read_idx(path, (10,))
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()


def test_files_that_are_not_gzip_not_there_or_folders_are_refused(tmp_path):
    wrong = tmp_path / "plain-ubyte.gz"
    wrong.write_bytes(TINY)
    (tmp_path / "folder").mkdir()
    for path, reason in (
        (wrong, "Not a gzipped"),
        (tmp_path / "no", "No such file"),
        (tmp_path / "folder", "directory"),
    ):
        with pytest.raises(ArtifactError, match=f"cannot be read .*{reason}"):
            read_idx(path, (2, 3))


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), zipped=st.booleans())
def test_a_mutated_file_gives_an_array_of_the_shape_or_an_artifact_error(tmp_path, data, zipped):
    content = bytearray(gzip.compress(TINY, mtime=0) if zipped else TINY)
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / ("f.gz" if zipped else "f")
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        array = read_idx(path, (2, 3))
    except ArtifactError:
        return
    assert array.shape == (2, 3)
    if zipped:  # gzip carries a checksum: what survives it is what was written
        assert array.tobytes() == TINY[-6:]
