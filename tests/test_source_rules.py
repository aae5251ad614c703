"""What no module of the library may do, and what no file of the repository may say."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

from architecture import PACKAGE, ROOT, Module, modules, walk, within

MAY_PRINT = ("neurosparse.cli", "neurosparse.backends.lava_worker")

# Lines of a file before it should be two. A longer one needs a reason here, so that it is a decision.
MAX_LINES = 320
LONGER: dict[str, str] = {
    "neurosparse/kernels/compiled.py": "the loops of one layer, which Numba compiles into each other",
    "neurosparse/kernels/layers.py": "one kernel per neuron model and direction, which share their register tiles",
    "neurosparse/kernels/topology.py": "births, deaths and rebuilding of one structure",
}


def calls(module: Module) -> Iterator[tuple[ast.Call, str, bool]]:
    """Every call with its dotted name as written (its last part for method calls), and whether it runs on import."""
    for node, later in walk(module.tree):
        if isinstance(node, ast.Call):
            yield node, ast.unparse(node.func), not later


def test_the_library_never_prints():
    wrong = [
        module.where(call.lineno)
        for module in modules()
        if not within(module, MAY_PRINT)
        for call, name, _ in calls(module)
        if name in ("print", "sys.stdout.write", "sys.stderr.write", "pprint", "warnings.showwarning")
    ]
    assert not wrong, "use logging, an error or a warning instead:\n" + "\n".join(wrong)


def test_nothing_is_asserted():
    # an assert vanishes under `python -O`; a wrong input gets an error, and a type checker gets a check or a cast
    wrong = [m.where(node.lineno) for m in modules() for node in ast.walk(m.tree) if isinstance(node, ast.Assert)]
    assert not wrong, "raise an error of neurosparse.errors instead:\n" + "\n".join(wrong)


def test_nothing_is_unpickled_evaluated_or_given_to_a_shell():
    wrong = []
    for module in modules():
        for found in module.imports:
            if found.name.split(".")[0] in ("pickle", "dill", "cloudpickle", "marshal", "shelve", "joblib"):
                wrong.append(f"{module.where(found.line)}: imports {found.name}")
        for call, name, _ in calls(module):
            keywords = {k.arg: ast.unparse(k.value) for k in call.keywords}
            allowed = keywords.get("allow_pickle", "False") == "False" and keywords.get("shell", "False") == "False"
            if name in ("eval", "exec", "torch.load", "os.system", "os.popen") or not allowed:
                wrong.append(f"{module.where(call.lineno)}: {ast.unparse(call)[:80]}")
    assert not wrong, "\n".join(wrong)


GENERATORS = {"Generator", "PCG64", "BitGenerator", "SeedSequence", "default_rng"}


def test_no_global_source_of_randomness_is_touched():
    wrong = []
    for module in modules():
        wrong += [f"{module.where(f.line)}: imports random" for f in module.imports if f.name == "random"]
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Attribute):
                text = ast.unparse(node)
                if re.match(r"(np|numpy)\.random\.\w+$", text) and node.attr not in GENERATORS:
                    wrong.append(f"{module.where(node.lineno)}: {text}")
                if text in ("torch.manual_seed", "torch.seed", "torch.set_rng_state", "torch.cuda.manual_seed"):
                    wrong.append(f"{module.where(node.lineno)}: {text}")
    assert not wrong, "take a seed or a generator instead:\n" + "\n".join(wrong)


AT_IMPORT = re.compile(
    r"open|exec|eval|print|.*\.(read_text|read_bytes|write_text|write_bytes|open|mkdir|unlink|glob|rglob|iterdir|exists"
    r"|is_file|is_dir)|os\.(listdir|walk|scandir|makedirs|putenv|environ\.(update|setdefault|pop))"
    r"|subprocess\.\w+|np\.(load|save|loadtxt|seterr)|torch\.(set_\w+|manual_seed)|logging\.(basicConfig|disable)"
    r"|warnings\.(filterwarnings|simplefilter)|sys\.path\.\w+|\w+\.seed|faulthandler\.\w+|signal\.signal|atexit\.register"
)


def test_importing_a_module_does_no_work_reads_no_file_and_sets_nothing():
    wrong = []
    for module in modules():
        if module.is_sidecar or module.name == "neurosparse.cli.__main__":
            continue  # scripts
        wrong += [
            f"{module.where(call.lineno)}: {name}"
            for call, name, at_start in calls(module)
            if at_start and AT_IMPORT.fullmatch(name)
        ]
        for node, later in walk(module.tree):
            if isinstance(node, ast.Assign | ast.AugAssign | ast.Delete) and not later:
                targets = [node.target] if isinstance(node, ast.AugAssign) else node.targets
                wrong += [f"{module.where(node.lineno)}: os.environ" for t in targets if "os.environ" in ast.unparse(t)]
    assert not wrong, "do this inside a function:\n" + "\n".join(wrong)


def test_files_are_short():
    long = {
        str(module.path.relative_to(ROOT)): module.n_lines
        for module in modules()
        if module.n_lines > MAX_LINES and str(module.path.relative_to(ROOT)) not in LONGER
    }
    assert not long, f"split these (a file has one job), or give the reason in LONGER: {long}"


def test_every_module_says_what_it_is_for():
    assert not [module.name for module in modules() if not ast.get_docstring(module.tree)]


def repository_files() -> list[Path]:
    """The files of the project: tracked, or new and not ignored."""
    try:
        done = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT,
            capture_output=True,
            timeout=60,
            check=True,
        )
        names = [name.decode() for name in done.stdout.split(b"\0") if name]
    except (OSError, subprocess.CalledProcessError):  # an unpacked archive
        names = [str(p.relative_to(ROOT)) for folder in (PACKAGE, ROOT / "tests") for p in folder.rglob("*.py")]
    return [ROOT / name for name in names if (ROOT / name).is_file()]


# Folders of the machines this was written on, papers that only its authors have, and hosts that only they can reach.
TRACES = re.compile(rb"(?<![\w.~$}/-])/(work|root|opt)/|\bshared/(design|prototypes|hooks)\b|--(extra-)?index-url")


def test_no_file_leads_to_the_machine_it_was_written_on():
    files = repository_files()
    assert len(files) > 50
    wrong = []
    for path in files:
        content = path.read_bytes()
        if b"\0" in content[:4096] or path == Path(__file__).resolve():
            continue
        wrong += [
            f"{path.relative_to(ROOT)}:{content.count(bytes([10]), 0, match.start()) + 1}: {match[0].decode()}"
            for match in TRACES.finditer(content)
        ]
    assert not wrong, "\n".join(wrong)
