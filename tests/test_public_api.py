"""What is public is in ``neurosparse.__all__``, documented and annotated, and nothing else is; doctests run."""

from __future__ import annotations

import doctest
import importlib
import inspect
import types
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from architecture import modules

import neurosparse as ns

MODULES = ("errors", "losses")
OBJECTS = [name for name in ns.__all__ if name not in MODULES and not name.startswith("__")]


def documented_callables(name: str) -> Iterator[tuple[str, Callable[..., Any]]]:
    """The functions and methods that a user of the public object `name` may call."""
    thing = getattr(ns, name)
    if isinstance(thing, types.ModuleType):
        for key in getattr(thing, "__all__", [key for key in vars(thing) if not key.startswith("_")]):
            member = getattr(thing, key)
            if inspect.isfunction(member) and member.__module__ == thing.__name__:
                yield f"{name}.{key}", member
    elif inspect.isclass(thing):
        for key, member in vars(thing).items():
            function = inspect.unwrap(getattr(member, "__func__", getattr(member, "fget", member)))
            if inspect.isfunction(function) and (not key.startswith("_") or key == "__init__"):
                yield f"{name}.{key}", function
    else:
        yield name, thing


CALLABLES = [pair for name in ns.__all__ if not name.startswith("__") for pair in documented_callables(name)]


@pytest.mark.parametrize("name", ns.__all__)
def test_every_public_name_exists(name):
    assert getattr(ns, name) is not None


def test_no_public_name_is_listed_twice():
    assert len(set(ns.__all__)) == len(ns.__all__)


def test_nothing_else_is_public():
    public = {name for name in vars(ns) if not name.startswith("_")} - {"annotations"}  # a feature of the file
    modules_of_ours = {name for name in public if isinstance(getattr(ns, name), types.ModuleType)}
    assert all(getattr(ns, name).__name__.startswith("neurosparse.") for name in modules_of_ours)
    assert public - modules_of_ours <= set(ns.__all__)
    assert set(ns.__all__) <= set(dir(ns))
    assert all(isinstance(getattr(ns, name), types.ModuleType) for name in set(dir(ns)) - set(ns.__all__))


def test_a_star_import_gives_the_public_names():
    names: dict[str, Any] = {}
    exec("from neurosparse import *", names)
    assert set(names) - {"__builtins__"} == set(ns.__all__)


def test_an_unknown_attribute_is_an_attribute_error():
    with pytest.raises(AttributeError, match=r"module 'neurosparse' has no attribute 'Netwrok'"):
        ns.Netwrok  # noqa: B018
    assert not hasattr(ns, "importlib")


def test_public_objects_know_the_name_of_their_module():
    for name in OBJECTS:
        assert getattr(ns, name).__name__ == name
        assert getattr(ns, name).__module__.startswith("neurosparse.")


@pytest.mark.parametrize("name", [*MODULES, *OBJECTS])
def test_every_public_object_is_documented(name):
    text = inspect.getdoc(getattr(ns, name))
    assert text, f"{name} has no docstring"
    # a dataclass without docstring gets its signature as one
    assert not text.startswith(f"{name}(")
    assert text.splitlines()[0].rstrip().endswith((".", ":")), f"the first line of {name} is no sentence: {text[:80]!r}"


@pytest.mark.parametrize(("name", "function"), CALLABLES, ids=[name for name, _ in CALLABLES])
def test_every_public_function_is_documented_and_annotated(name, function):
    assert name.endswith("__init__") or inspect.getdoc(function), f"{name} has no docstring"
    signature = inspect.signature(function)
    missing = [
        parameter.name
        for parameter in signature.parameters.values()
        if parameter.annotation is inspect.Parameter.empty and parameter.name not in ("self", "cls")
    ]
    assert not missing, f"{name}: no annotation of {', '.join(missing)}"
    assert signature.return_annotation is not inspect.Signature.empty, f"{name}: what does it return?"


@pytest.mark.parametrize("name", [name for name in OBJECTS if inspect.isfunction(getattr(ns, name))])
def test_functions_take_two_arguments_by_position_and_the_others_by_name(name):
    parameters = inspect.signature(getattr(ns, name)).parameters.values()
    positional = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    assert len(positional) <= 2, f"{name}: {', '.join(positional[2:])} should be keyword-only"


WITH_DOCTESTS = [m.name for m in modules() if not m.is_sidecar and ">>> " in m.path.read_text(encoding="utf-8")]


@pytest.mark.parametrize("name", WITH_DOCTESTS)
@pytest.mark.filterwarnings("ignore::DeprecationWarning:snntorch")
def test_doctests(name):
    results = doctest.testmod(importlib.import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert results.attempted > 0, "its examples are in no docstring"
    assert results.failed == 0


def test_the_objects_a_user_meets_first_have_examples():
    for name in ("Network", "Input", "Recording", "parity"):
        assert ">>> " in (inspect.getdoc(getattr(ns, name)) or "") + "".join(
            inspect.getdoc(function) or "" for _, function in documented_callables(name)
        ), f"{name} has no example"
