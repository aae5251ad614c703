"""Ways to damage a safetensors file, for the fuzz tests of everything that reads one."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

from .forgery import assemble, parse

NASTY_NUMBERS = [
    0,
    1,
    -1,
    2,
    7,
    255,
    2**31 - 1,
    2**31,
    2**32,
    2**53 + 1,
    2**62,
    2**63,
    2**64,
    10**30,
    0.5,
    1e-320,
    1e308,
]
NASTY_TEXTS = [
    "",
    "input",
    "hidden",
    "out",
    "LIF",
    "LI",
    "none",
    "F64",
    "I64",
    "U8",
    "BOOL",
    "BF16",
    "../x",
    "ä",
    "\x00",
    "a" * 300,
]
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.sampled_from(NASTY_NUMBERS) | st.sampled_from(NASTY_TEXTS) | st.floats(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NASTY_TEXTS), inner, max_size=3),
    max_leaves=5,
)


def paths(value: Any, prefix: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a JSON value."""
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield (*prefix, key)
            yield from paths(inner, (*prefix, key))


def _edit(draw: st.DrawFn, root: Any) -> None:
    """Replace, remove or add one value somewhere inside `root`."""
    *parents, last = draw(st.sampled_from(list(paths(root))))
    owner = root
    for key in parents:
        owner = owner[key]
    action = draw(st.sampled_from(["replace", "replace", "replace", "remove", "add"]))
    if action == "replace":
        owner[last] = draw(JSON_VALUES)
    elif action == "remove":
        del owner[last]
    elif isinstance(owner, dict):
        owner[draw(st.sampled_from(NASTY_TEXTS))] = draw(JSON_VALUES)
    else:
        owner.append(draw(JSON_VALUES))


@st.composite
def mutated(draw: st.DrawFn, content: bytes) -> bytes:
    """Damage `content` in one of the ways files get damaged, or forged."""
    kind = draw(
        st.sampled_from(["flip", "flip header", "truncate", "splice", "header", "header", "table", "data", "data"])
    )
    if kind in ("flip", "flip header"):
        damaged = bytearray(content)
        end = len(content) if kind == "flip" else 8 + struct.unpack("<Q", content[:8])[0]
        for _ in range(draw(st.integers(1, 8))):
            damaged[draw(st.integers(0, end - 1))] = draw(st.integers(0, 255))
        return bytes(damaged)
    if kind == "truncate":
        return content[: draw(st.integers(0, len(content) - 1))]
    if kind == "splice":
        start, stop = sorted(draw(st.tuples(*[st.integers(0, len(content))] * 2)))
        return (
            content[:start]
            + draw(st.sampled_from([b"", content[start:stop] * 2, bytes(stop - start)]))
            + content[stop:]
        )
    table, header, data = parse(content)
    if kind == "header":
        for _ in range(draw(st.integers(1, 2))):
            _edit(draw, header)
    elif kind == "table":
        del table["__metadata__"]
        _edit(draw, table)
    else:
        damaged = bytearray(data)
        for _ in range(draw(st.integers(1, 3))):
            words = [struct.pack("<d", x) for x in (float("nan"), float("inf"), -1e300, 5e-324)]
            words += [struct.pack("<f", x) for x in (float("nan"), float("-inf"), -0.0, 3e38, 1e-3)]
            words += [struct.pack("<q", x) for x in (-1, 2**63 - 1, 5)] + [
                struct.pack("<i", x) for x in (-1, 2**31 - 1, 1)
            ]
            word = draw(st.sampled_from(words))
            start = draw(st.integers(0, (len(data) - len(word)) // 4)) * 4
            damaged[start : start + len(word)] = word
        data = bytes(damaged)
    return assemble(table, header, data)
