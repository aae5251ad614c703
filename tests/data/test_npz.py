"""The careful reader of .npz files."""

import io
import tracemalloc
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from neurosparse.data.npz import Expected, read_npz
from neurosparse.errors import ArtifactError

IMAGES = np.arange(12, dtype=np.uint8).reshape(3, 4)
LABELS = np.array([2, 0, 1])
EXPECTED = {"x": Expected((3, 4), itemsize=1), "y": Expected((3,), itemsize=8)}


def npy(array):
    file = io.BytesIO()
    np.lib.format.write_array(file, array, allow_pickle=True)
    return file.getvalue()


def write(path, compression=zipfile.ZIP_DEFLATED, **entries):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in entries.items():
            archive.writestr(f"{name}.npy", content)
    return path


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("dtype", ["u1", "i1", "<i4", ">i4", "<u8", "<i8"])
def test_reads_what_numpy_writes_in_native_byte_order(tmp_path, save, dtype):
    save(tmp_path / "a.npz", x=IMAGES, y=LABELS.astype(dtype), other=np.zeros(3))
    arrays = read_npz(tmp_path / "a.npz", EXPECTED)
    assert list(arrays) == ["x", "y"]
    assert arrays["x"].tolist() == IMAGES.tolist()
    assert arrays["y"].tolist() == [2, 0, 1]
    assert arrays["y"].dtype == np.dtype(dtype).newbyteorder("=")
    assert arrays["x"].flags.writeable


def test_reads_fortran_order_and_version_two(tmp_path):
    file = io.BytesIO()
    np.lib.format.write_array(file, LABELS, version=(2, 0))
    path = write(tmp_path / "a.npz", x=npy(np.asfortranarray(IMAGES)), y=file.getvalue())
    arrays = read_npz(path, EXPECTED)
    assert arrays["x"].tolist() == IMAGES.tolist()
    assert arrays["y"].tolist() == LABELS.tolist()


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"a": b"", "b": b""}, "x: no such array in the file; it holds a.npy, b.npy"),
        ({"x": b""}, "x: not an .npy array of version 1 or 2; it starts with b''"),
        ({"x": b"\x80\x04pickle..."}, "not an .npy array"),
        ({"x": b"\x93NUMPY\x03\x00" + bytes(200)}, "not an .npy array of version 1 or 2"),
        ({"x": b"\x93NUMPY\x02\x00\xff\xff\xff\x7f"}, "an .npy header of 2147483647 bytes; at most 4096 can be right"),
        ({"x": b"\x93NUMPY\x01\x00\x05\x00{'a'}"}, "the .npy header is not that of a plain array"),
        ({"x": npy(np.array([{}, 1], dtype=object))}, r"has type '\|O'; uint8 would be right"),
        ({"x": npy(IMAGES.astype(float))}, "has type '<f8'; uint8 would be right"),
        ({"x": npy(IMAGES.astype(np.int64))}, "has type '<i8'; uint8 would be right"),
        ({"x": npy(IMAGES.T.copy())}, r"x: has shape \(4, 3\), expected \(3, 4\)"),
        ({"x": npy(IMAGES)[:-2]}, "x: needs 12 bytes of data, the entry has 10"),
        ({"x": npy(IMAGES) + b"more"}, "x: needs 12 bytes of data, the entry has 16"),
        ({"x": npy(IMAGES), "y": npy(LABELS * 1.0)}, "y: has type '<f8'; an integer of at most 8 bytes would be right"),
    ],
)
def test_wrong_content_is_refused_with_its_reason(tmp_path, entries, message):
    path = write(tmp_path / "a.npz", **entries)
    with pytest.raises(ArtifactError, match=message) as caught:
        read_npz(path, EXPECTED)
    assert str(path) in str(caught.value)


def test_a_file_that_is_no_zip_file_is_refused(tmp_path):
    (tmp_path / "a.npz").write_bytes(b"hello")
    with pytest.raises(ArtifactError, match=r"cannot be read as .npz .*not a zip file"):
        read_npz(tmp_path / "a.npz", EXPECTED)


def test_compressions_that_inflate_without_limit_are_refused(tmp_path):
    path = write(tmp_path / "a.npz", zipfile.ZIP_BZIP2, x=npy(IMAGES), y=npy(LABELS))
    with pytest.raises(ArtifactError, match="x: compressed by method 12; stored or deflated would be right"):
        read_npz(path, EXPECTED)


def test_a_flipped_bit_in_the_data_is_found(tmp_path):
    path = write(tmp_path / "a.npz", zipfile.ZIP_STORED, x=npy(IMAGES), y=npy(LABELS))
    content = bytearray(path.read_bytes())
    content[content.find(IMAGES.tobytes()) + 5] ^= 1
    path.write_bytes(content)
    with pytest.raises(ArtifactError, match=r"Bad CRC-32"):
        read_npz(path, EXPECTED)


def test_neither_a_bomb_nor_an_absurd_header_allocates(tmp_path):
    huge = npy(IMAGES).replace(b"(3, 4), }" + b" " * 13, b"(999999999, 999999), }")  # a header of the same length
    bomb = write(tmp_path / "a.npz", x=npy(IMAGES) + bytes(100_000_000))
    absurd = write(tmp_path / "b.npz", x=huge)
    assert b"999999999" in huge
    tracemalloc.start()
    try:
        for path, message in ((bomb, "the entry has 100000012"), (absurd, "has shape")):
            with pytest.raises(ArtifactError, match=message):
                read_npz(path, EXPECTED)
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), compression=st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]))
def test_a_mutated_file_gives_the_same_arrays_or_an_artifact_error(tmp_path, data, compression):
    path = write(tmp_path / "a.npz", compression, x=npy(IMAGES), y=npy(LABELS))
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.integers(0, len(content)) | st.just(len(content)))])
    try:
        arrays = read_npz(path, EXPECTED)
    except ArtifactError:
        return
    assert arrays["x"].tolist() == IMAGES.tolist()
    assert arrays["y"].tolist() == LABELS.tolist()
