"""The house stays the house that was designed: who may import whom, and which half runs where."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from architecture import (
    NUMBA_MODULES,
    PEERS,
    ROOT,
    TORCH_FREE,
    TORCH_MODULES,
    Module,
    is_standard,
    module_names,
    modules,
    torch_free_modules,
    within,
)

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

GROUND = {"core", "errors"}
MAY_IMPORT: dict[str, set[str]] = {
    "": set(),
    "errors": set(),
    "core": {"errors"},
    "data": GROUND,
    "deploy": GROUND,
    "backends": GROUND | {"deploy"},
    "analysis": GROUND | {"deploy"},
    "formats": GROUND | {"backends", "deploy"},
    "kernels": GROUND,
    "nn": GROUND | {"kernels"},
    "rewiring": GROUND | {"nn", "kernels"},
    "pruning": GROUND | {"nn", "kernels", "rewiring"},
    "training": GROUND | {"pruning", "rewiring", "nn", "data"},
    "sweep": GROUND | {"analysis", "backends", "training", "rewiring", "pruning"},
    "benchmarks": GROUND | {"analysis"},
    "cli": GROUND
    | {
        "benchmarks",
        "sweep",
        "analysis",
        "backends",
        "data",
        "deploy",
        "formats",
        "kernels",
        "nn",
        "pruning",
        "rewiring",
        "training",
    },
}
"""Package -> packages it may import, besides itself. Two towers (training..kernels, analysis..deploy) on one ground."""

EXTRA = {
    "neurosparse.backends.native": {"kernels"},
    "neurosparse.backends.native_integers": {"kernels"},
    "neurosparse.benchmarks.simulation": {"backends"},
    "neurosparse.benchmarks.peers.neurosparse": {"backends", "nn", "rewiring", "kernels"},
    "neurosparse.benchmarks.peers.brian2": {"backends"},
    "neurosparse.benchmarks.peers.lava": {"backends"},
}

# Who may import a package of somebody else's. What is not listed here may be imported by everyone.
ONLY_IN: dict[str, tuple[str, ...]] = {
    "torch": ("nn", "pruning", "rewiring", "training", "neurosparse.benchmarks.peers", *TORCH_MODULES),
    "snntorch": ("nn", "pruning", "training", "neurosparse.benchmarks.peers", *TORCH_MODULES),
    "numba": ("kernels", *NUMBA_MODULES),
    "llvmlite": ("kernels",),
    "triton": ("neurosparse.nn.gpu_kernels",),
    "brian2": ("neurosparse.backends.brian2", "neurosparse.backends.brian2_session"),
    "lava": (
        "neurosparse.backends.lava_processes",
        "neurosparse.backends.lava_worker",
        "neurosparse.backends.lava_build",
    ),
    "nir": ("formats",),
    "h5py": ("formats",),
    **dict.fromkeys(PEERS, ("neurosparse.benchmarks.peers",)),
    "sklearn": ("data",),
    "matplotlib": ("analysis",),
    "jinja2": ("analysis", "formats"),
    "optuna": ("sweep",),
    "typer": ("cli",),
    "click": ("cli",),
    "rich": ("cli",),
}


def layer_of(name: str) -> str:
    """The layer of a dotted name below neurosparse; "" for the package itself."""
    return name.split(".")[1] if "." in name else ""


def test_the_permissions_have_no_loop():
    remaining = {layer: set(allowed) for layer, allowed in MAY_IMPORT.items()}
    while remaining:
        free = [layer for layer, allowed in remaining.items() if not allowed & remaining.keys()]
        assert free, f"a loop among {sorted(remaining)}"
        for layer in free:
            del remaining[layer]


def test_every_package_has_its_place():
    assert {module.layer for module in modules()} <= set(MAY_IMPORT)


def test_packages_import_only_what_they_may():
    wrong = []
    for module in modules():
        allowed = MAY_IMPORT[module.layer] | EXTRA.get(module.name, set()) | {module.layer}
        for found in module.imports:
            if found.name.split(".")[0] == "neurosparse" and "." in found.name and layer_of(found.name) not in allowed:
                wrong.append(f"{module.where(found.line)}: {module.layer or 'neurosparse'} may not import {found.name}")
    assert not wrong, "\n".join(wrong)


def test_importing_the_package_itself_is_only_for_its_version():
    # `import neurosparse as ns; ns.simulate(...)` inside the library would go around every other rule here
    wrong = []
    for module in modules():
        if within(module, ("cli",)):
            continue
        names = {
            alias.asname or alias.name
            for node in ast.walk(module.tree)
            if isinstance(node, ast.Import)
            for alias in node.names
            if alias.name == "neurosparse"
        }
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in names:
                if node.attr != "__version__":
                    wrong.append(f"{module.where(node.lineno)}: neurosparse.{node.attr}")
            elif isinstance(node, ast.ImportFrom) and node.module == "neurosparse":
                wrong += [
                    f"{module.where(node.lineno)}: from neurosparse import {alias.name}"
                    for alias in node.names
                    if alias.name != "__version__" and f"neurosparse.{alias.name}" not in module_names()
                ]
    assert not wrong, "\n".join(wrong)


def test_third_party_packages_stay_where_they_belong():
    wrong = []
    for module in modules():
        for found in module.imports:
            top = found.name.split(".")[0]
            if top in ONLY_IN and not within(module, ONLY_IN[top]):
                wrong.append(f"{module.where(found.line)}: {top} may only be imported in {', '.join(ONLY_IN[top])}")
    assert not wrong, "\n".join(wrong)


def test_the_command_line_starts_without_the_heavy_packages():
    heavy = {"torch", "snntorch", "numba", "brian2", "matplotlib", "sklearn"}
    wrong = [
        f"{module.where(found.line)}: {found.name}"
        for module in modules()
        if within(module, ("cli",))
        for found in module.imports
        if found.at_start
        and (found.name.split(".")[0] in heavy or layer_of(found.name) in {"nn", "pruning", "rewiring", "training"})
    ]
    assert not wrong, "import these where they are used:\n" + "\n".join(wrong)


def registry_entries() -> Iterator[tuple[Module, int, str, str]]:
    """Every text ``"neurosparse.part:Name"`` in the package: what registries import on use."""
    for module in modules():
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                match = re.fullmatch(r"(neurosparse(?:\.\w+)+):(\w+)", node.value)
                if match:
                    yield module, node.lineno, match[1], match[2]


def test_registries_name_what_exists_and_what_their_package_may_import():
    known = {module.name: module for module in modules()}
    wrong, n = [], 0
    for module, line, target, attribute in registry_entries():
        n += 1
        if target not in known:
            wrong.append(f"{module.where(line)}: there is no module {target}")
        elif not any(
            isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == attribute
            for node in known[target].tree.body
        ):
            wrong.append(f"{module.where(line)}: {target} defines no {attribute}")
        elif layer_of(target) not in MAY_IMPORT[module.layer] | {module.layer}:
            wrong.append(f"{module.where(line)}: {module.layer} may not name {target}")
    assert n >= 8
    assert not wrong, "\n".join(wrong)


def test_a_backend_never_imports_another_backend():
    backends = {target for module, _, target, _ in registry_entries() if module.name == "neurosparse.backends.base"}
    assert len(backends) >= 3
    wrong = [
        f"{module.where(found.line)}: {found.name}"
        for module in modules()
        if module.layer == "backends"
        for found in module.imports
        if found.name in backends - {module.name}
    ]
    assert not wrong, "\n".join(wrong)


def test_third_party_packages_are_declared():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = project["dependencies"] + [line for extra in project["optional-dependencies"].values() for line in extra]
    declared = {re.split(r"[^A-Za-z0-9_.-]", line)[0].lower().replace("-", "_") for line in lines}
    declared |= {"sklearn"} if "scikit_learn" in declared else set()
    declared |= {"lava"} if "lava_nc" in declared else set()
    declared |= {"pil"} if "pillow" in declared else set()
    declared |= {"llvmlite"} if "numba" in declared else set()  # exactly the one that numba pins
    ours = {"neurosparse", "lava_processes", *PEERS}  # the second is how Lava's compiler sees its folder
    used = {
        found.name.split(".")[0]: module.where(found.line)
        for module in modules()
        for found in module.imports
        if not is_standard(found.name)
    }
    missing = {name: where for name, where in used.items() if name.lower() not in declared | ours | {"click"}}
    assert not missing, f"imported, but not in pyproject.toml: {missing}"


@pytest.mark.parametrize("module", torch_free_modules(), ids=lambda module: module.name)
def test_the_torch_free_half_is_written_for_python_310(module):
    text = module.path.read_text(encoding="utf-8")
    ast.parse(text, feature_version=(3, 10))
    assert "tomllib" not in text or "tomli" in text.replace("tomllib", ""), (
        "Python 3.10 has no tomllib: fall back on tomli"
    )
    newer = re.search(
        r"from (typing|datetime|enum) import [^\n]*\b(Self|UTC|StrEnum|override|Never|assert_never)\b", text
    )
    assert newer is None, newer


def run_python(code: str, python: str | Path = sys.executable, **environment: str) -> dict[str, object]:
    """Run `code` in a fresh interpreter at the root of the checkout; return the JSON it prints last."""
    done = subprocess.run(
        [str(python), "-W", "error::DeprecationWarning:neurosparse", "-c", code],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1", "PATH": "", **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout.splitlines()[-1])


WITHOUT_TORCH = """
import importlib, json, sys
for name in {missing!r}:
    sys.modules[name] = None
before, absent = set(sys.modules), {{}}
for name in {modules!r}:
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] == "neurosparse" or sys.modules.get(error.name, 0) is None:
            raise
        absent[name] = error.name
import numpy as np
import neurosparse as ns
weights = ns.Projection.from_dense("input", "hidden", np.float32([[0.5, 0.25], [1.5, -0.5]]))
loop = ns.Projection.from_dense("hidden", "hidden", np.float32([[0.0, 0.75], [0.0, 0.0]]), delay=1)
out = ns.Projection.from_dense("hidden", "out", np.float32([[1.0, 1.0]]))
hidden = ns.Population("hidden", 2, ns.LIF(beta=0.5))
populations = [hidden, ns.Population("out", 1, ns.CubaLIF(alpha=0.5, reset="zero"))]
network = ns.Network(ns.Input(2), populations, [weights, loop, out])
import pathlib, tempfile
with tempfile.TemporaryDirectory() as folder:
    path = pathlib.Path(folder) / "network.safetensors"
    network.save(path)
    network = ns.Network.load(path)
recording = ns.simulate(network, np.array([[1, 0], [1, 1], [0, 0], [1, 1]], bool), backend="reference")
loaded = {{name.split(".")[0] for name in set(sys.modules) - before if sys.modules[name] is not None}}
result = {{"hidden": np.argwhere(recording.spikes["hidden"]).tolist(), "absent": absent, "loaded": sorted(loaded)}}
result["version"] = list(sys.version_info[:2])
print(json.dumps(result))
"""
# By hand (* is a spike, and takes 1 from the next step): neuron 1 gets 1.5, 1, 0, 1 and reaches 1.5*, 0.75, 0.375,
# 1.1875*; neuron 0 gets 0.5, 0.75 + 0.75 from the loop, 0, 0.75 and reaches 0.5, 1.75*, -0.125, 0.6875.
HIDDEN_SPIKES = [[0, 0, 1], [1, 0, 0], [3, 0, 1]]


def test_the_torch_free_half_imports_and_runs_without_torch():
    names = [module.name for module in torch_free_modules()]
    assert {name.split(".")[1] for name in names if "." in name} == set(TORCH_FREE)
    result = run_python(WITHOUT_TORCH.format(missing=["torch", "snntorch", "numba"], modules=names))
    assert result["hidden"] == HIDDEN_SPIKES
    assert result["absent"] == {}
    assert not {"brian2", "lava", "sklearn", "matplotlib"} & set(result["loaded"]), "an engine was imported before use"


@pytest.mark.lava
def test_the_torch_free_half_runs_on_python_310_beside_lava():
    from neurosparse.backends.sidecar import lava_python

    names = [module.name for module in torch_free_modules()]
    result = run_python(WITHOUT_TORCH.format(missing=[], modules=names), lava_python())
    assert result["version"] == [3, 10]
    assert result["hidden"] == HIDDEN_SPIKES
    assert result["absent"] == {}  # every torch-free module, files included, on Python 3.10 and numpy 1.26


def test_importing_neurosparse_imports_nothing_heavy():
    code = (
        "import json, sys\nimport neurosparse\nprint(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"
    )
    loaded = set(run_python(code))
    assert not {"torch", "snntorch", "brian2", "lava", "matplotlib", "numba", "sklearn", "scipy", "pydantic"} & loaded
    code = code.replace(
        "import neurosparse\n", "import neurosparse\nneurosparse.Network, neurosparse.simulate, neurosparse.LIF\n"
    )
    loaded = set(run_python(code))
    assert not {"torch", "snntorch", "brian2", "lava", "matplotlib", "numba", "sklearn"} & loaded
