"""One pass over the syntax trees of the package, for the tests that guard its structure."""

from __future__ import annotations

import ast
import functools
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "neurosparse"

# Lava's compiler imports these by itself, in its own environment, with Lava's names; they are scripts, not our modules.
SIDECAR = ("neurosparse.backends.lava_processes", "neurosparse.backends.lava_worker", "neurosparse.backends.lava_build")

# What benchmarks compare us with, in environments of their own: see neurosparse/benchmarks/worker.py.
PEERS = ("spikingjelly", "norse", "sparseprop", "sparselab")

# Torch-free by design, but for the modules that are named: see architecture in the documentation.
TORCH_FREE = ("analysis", "backends", "core", "data", "deploy", "errors", "formats")
TORCH_MODULES = ("neurosparse.backends.snntorch",)
NUMBA_MODULES = (
    "neurosparse.backends.native",
    "neurosparse.backends.native_integers",
)


@dataclass(frozen=True)
class Import:
    """One imported module: `name` as written, `at_start` if it runs when the importing module is imported."""

    name: str
    line: int
    at_start: bool


@dataclass(frozen=True)
class Module:
    """A source file of the package: dotted `name`, `path`, syntax `tree`."""

    name: str
    path: Path
    tree: ast.Module
    n_lines: int

    @property
    def layer(self) -> str:
        """The first part below ``neurosparse``, "" for the package itself."""
        return self.name.split(".")[1] if "." in self.name else ""

    @property
    def is_sidecar(self) -> bool:
        return self.name.startswith(SIDECAR)

    @property
    def imports(self) -> list[Import]:
        """All imports, also those inside functions; ``from a import b`` counts as a.b where that is a module."""
        found = []
        for node, inside in walk(self.tree):
            if isinstance(node, ast.Import):
                found += [Import(alias.name, node.lineno, not inside) for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                source = node.module or ""
                if node.level:
                    parents = self.name.split(".") + (["__init__"] if self.path.name == "__init__.py" else [])
                    source = ".".join([*parents[: -node.level], *([node.module] if node.module else [])])
                for alias in node.names:
                    whole = f"{source}.{alias.name}"
                    found.append(Import(whole if whole in module_names() else source, node.lineno, not inside))
        return found

    def where(self, line: int) -> str:
        return f"{self.path.relative_to(ROOT)}:{line}"


def walk(node: ast.AST, inside: bool = False) -> Iterator[tuple[ast.AST, bool]]:
    """Every node, and whether it only runs (or is only seen by a type checker) after the module was imported."""
    for child in ast.iter_child_nodes(node):
        typing_only = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test) and child in node.body
        later = inside or typing_only or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        yield child, later
        yield from walk(child, later)


@functools.cache
def module_names() -> frozenset[str]:
    return frozenset(_name(path) for path in PACKAGE.rglob("*.py"))


def _name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@functools.cache
def modules() -> tuple[Module, ...]:
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        found.append(Module(_name(path), path, ast.parse(text, str(path)), text.count("\n")))
    return tuple(found)


def torch_free_modules() -> list[Module]:
    """The modules that must import, and work, where there is no torch and no numba."""
    exceptions = (*TORCH_MODULES, *NUMBA_MODULES, *SIDECAR)
    return [m for m in modules() if (m.layer in TORCH_FREE or not m.layer) and not m.name.startswith(exceptions)]


def within(module: Module, places: tuple[str, ...]) -> bool:
    """Whether `module` is, or lies in, one of `places`: layers, or full names of modules and packages."""
    return any(module.layer == place or f"{module.name}.".startswith(f"{place}.") for place in places)


def is_standard(name: str) -> bool:
    return name.split(".")[0] in sys.stdlib_module_names
