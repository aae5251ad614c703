"""The file format: atomic, reproducible, and suspicious of everything it reads."""

import json
import os
import stat
import struct

import numpy as np
import pytest
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as serialise

from neurosparse.core import container
from neurosparse.core.container import read_container, write_atomically, write_container
from neurosparse.errors import ArtifactError


def write(path, header=None, version=1, kind="thing", **tensors):
    write_container(path, kind=kind, version=version, header=header or {}, tensors=tensors)
    return path


def foreign(path, header, **tensors):
    """A safetensors file whose neurosparse entry is the text `header` (None: no entry)."""
    metadata = None if header is None else {"neurosparse": header}
    path.write_bytes(serialise(tensors, metadata=metadata))
    return path


@pytest.mark.parametrize("dtype", ["f8", "f4", "f2", "i8", "i4", "i2", "i1", "u8", "u4", "u2", "u1", "?"])
def test_arrays_come_back_as_they_were(tmp_path, dtype):
    array = np.arange(12).reshape(3, 4).astype(dtype)
    read = read_container(write(tmp_path / "a", x=array, empty=array[:0], scalar=array[1, 1]), kind="thing", version=1)
    assert read.names() == ["empty", "scalar", "x"]
    for name, expected in (("x", array), ("empty", array[:0]), ("scalar", array[1, 1])):
        assert read.tensor(name).dtype == np.dtype(dtype)
        assert read.tensor(name).shape == expected.shape
        assert read.tensor(name).tolist() == expected.tolist()


def test_views_are_written_as_what_they_show(tmp_path):
    array = np.arange(12.0).reshape(3, 4)
    read = read_container(write(tmp_path / "a", t=array.T, s=array[::2, ::-1]), kind="thing", version=1)
    assert read.tensor("t").tolist() == array.T.tolist()
    assert read.tensor("s").tolist() == array[::2, ::-1].tolist()


def test_headers_come_back_without_kind_and_version(tmp_path):
    header = {"text": "ä/→", "list": [1, 2.5, None, {"deep": True}], "big": 2**80}
    assert read_container(write(tmp_path / "a", header), kind="thing", version=1).header == header


def test_the_same_content_gives_the_same_bytes(tmp_path):
    one = write(tmp_path / "a", {"x": 1, "y": 2}, p=np.zeros(3), q=np.ones(2, np.int32))
    other = write(tmp_path / "b", {"y": 2, "x": 1}, q=np.ones(2, np.int32), p=np.zeros(3))
    assert one.read_bytes() == other.read_bytes()


def test_any_reader_of_safetensors_can_read_it(tmp_path):
    path = write(tmp_path / "a", {"x": 1}, p=np.float32([1, 2]))
    assert load_tensors(path.read_bytes())["p"].tolist() == [1, 2]
    length = struct.unpack("<Q", path.read_bytes()[:8])[0]
    metadata = json.loads(path.read_bytes()[8 : 8 + length])["__metadata__"]
    assert metadata == {"neurosparse": '{"kind":"thing","version":1,"x":1}'}


def test_a_header_cannot_disguise_the_kind(tmp_path):
    path = write(tmp_path / "a", {"kind": "other", "version": 99})
    assert read_container(path, kind="thing", version=1).header == {}


def test_numbers_that_json_does_not_have_are_not_written(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        write(tmp_path / "a", {"x": float("nan")})
    assert list(tmp_path.iterdir()) == []


def test_older_versions_are_read_and_newer_ones_refused(tmp_path):
    path = write(tmp_path / "a", version=2)
    assert read_container(path, kind="thing", version=3).header == {}
    with pytest.raises(
        ArtifactError, match=r"written in version 2 of the thing format, this neurosparse reads up to 1; update"
    ):
        read_container(path, kind="thing", version=1)


def test_another_kind_is_refused(tmp_path):
    with pytest.raises(ArtifactError, match=r"a: holds a 'checkpoint', expected a 'network'"):
        read_container(write(tmp_path / "a", kind="checkpoint"), kind="network", version=1)


@pytest.mark.parametrize("make", [lambda path: path, lambda path: path.mkdir() or path])
def test_a_missing_file_and_a_folder(tmp_path, make):
    path = make(tmp_path / "a.safetensors")
    with pytest.raises(
        ArtifactError, match=r"a.safetensors: no such file; expected a neurosparse network file \(.safetensors\)"
    ):
        read_container(path, kind="network", version=1)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (None, r"a safetensors file, but not one of neurosparse; expected a thing file"),
        ("{", r"the header is not JSON \("),
        ("", r"the header is not JSON \("),
        ("[" * 100_000, r"the header is not JSON \("),
        ('{"x": ' + "9" * 10_000 + "}", r"the header is not JSON \("),
        ('{"x": NaN}', r"the header is not JSON \(NaN is no JSON number\)"),
        ('{"x": -Infinity}', r"the header is not JSON \(-Infinity is no JSON number\)"),
        ('["thing", 1]', r"the header must be a JSON object, got list"),
        ("{}", r"holds a None, expected a 'thing'"),
        ('{"kind": "thing"}', r"version must be an integer >= 1, got None"),
        ('{"kind": "thing", "version": 0}', r"version must be an integer >= 1, got 0"),
        ('{"kind": "thing", "version": true}', r"version must be an integer >= 1, got True"),
        ('{"kind": "thing", "version": "1"}', r"version must be an integer >= 1, got '1'"),
    ],
)
def test_a_header_that_is_not_ours_is_refused(tmp_path, header, message):
    with pytest.raises(ArtifactError, match=message):
        read_container(foreign(tmp_path / "a", header, x=np.zeros(2)), kind="thing", version=1)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PK\x03\x04" + bytes(100),
        b"\x80\x04\x95" + bytes(100),
        bytes(1000),
        struct.pack("<Q", 2**60) + bytes(100),
        struct.pack("<Q", 99_000_000) + b"{" + bytes(100),
        b"\x89HDF\r\n\x1a\n" + bytes(200),
    ],
)
def test_other_formats_are_refused(tmp_path, content):
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(ArtifactError, match=r"a: damaged, truncated or not a safetensors file \("):
        read_container(tmp_path / "a", kind="thing", version=1)


def test_every_truncation_is_noticed(tmp_path):
    content = write(tmp_path / "a", {"x": 1}, p=np.arange(4.0), q=np.ones(3, np.uint8)).read_bytes()
    for length in range(len(content)):
        (tmp_path / "b").write_bytes(content[:length])
        with pytest.raises(ArtifactError, match="damaged, truncated or not a safetensors file"):
            read_container(tmp_path / "b", kind="thing", version=1)


def test_more_than_the_tensors_is_noticed(tmp_path):
    content = write(tmp_path / "a", p=np.arange(4.0)).read_bytes()
    (tmp_path / "b").write_bytes(content + b"\0")
    with pytest.raises(ArtifactError, match="damaged, truncated or not a safetensors file"):
        read_container(tmp_path / "b", kind="thing", version=1)


def test_a_type_that_numpy_does_not_have_is_refused(tmp_path):
    entry = {"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]}
    text = json.dumps({"__metadata__": {"neurosparse": '{"kind":"thing","version":1}'}, "p": entry}).encode()
    (tmp_path / "a").write_bytes(struct.pack("<Q", len(text)) + text + bytes(4))
    with pytest.raises(ArtifactError, match=r"a: tensor 'p' has type BF16, which no neurosparse file uses"):
        read_container(tmp_path / "a", kind="thing", version=1)


def test_a_missing_tensor_is_named_with_those_that_are_there(tmp_path):
    read = read_container(write(tmp_path / "a", p=np.zeros(1), q=np.zeros(1)), kind="thing", version=1)
    with pytest.raises(ArtifactError, match=r"a: tensor 'r' is missing; it has p, q"):
        read.tensor("r")


def test_a_file_that_may_not_be_read_is_reported(tmp_path, monkeypatch):
    def refuse(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(container, "safe_open", refuse)
    with pytest.raises(ArtifactError, match=r"a: damaged, truncated or not a safetensors file \(.*Permission denied"):
        read_container(write(tmp_path / "a"), kind="thing", version=1)


def test_writing_makes_the_folder_and_leaves_nothing_else(tmp_path):
    path = tmp_path / "run" / "7" / "a.txt"
    write_atomically(path, b"content")
    write_atomically(str(path), b"other")
    assert path.read_bytes() == b"other"
    assert [p.name for p in path.parent.iterdir()] == ["a.txt"]


@pytest.mark.skipif(os.name != "posix", reason="permissions as bits are POSIX")
def test_a_written_file_has_the_permissions_of_any_other(tmp_path):
    (tmp_path / "ordinary").write_bytes(b"")
    write_atomically(tmp_path / "a", b"")
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == stat.S_IMODE((tmp_path / "ordinary").stat().st_mode)


@pytest.mark.parametrize("stage", ["fsync", "replace"])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_write_that_fails_leaves_the_old_file_and_no_other(tmp_path, monkeypatch, stage, error):
    path = tmp_path / "a"
    write_atomically(path, b"old")

    def fail(*args):
        raise error

    monkeypatch.setattr(os, stage, fail)
    with pytest.raises(type(error)):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_content_is_on_disk_before_it_gets_its_name(tmp_path, monkeypatch):
    calls = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda handle: (calls.append("fsync"), fsync(handle)))
    monkeypatch.setattr(os, "replace", lambda a, b: (calls.append("replace"), replace(a, b)))
    write_atomically(tmp_path / "a", b"content")
    assert calls[:2] == ["fsync", "replace"]
    assert calls[2:] == (["fsync"] if os.name == "posix" else [])  # the folder, which holds the name
