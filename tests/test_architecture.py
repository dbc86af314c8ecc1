"""The shape of the repository: who imports whom, what an import loads, how long a file may be.

Imports go one way. `MAY_IMPORT` is the whole rule; the tests below read the sources with `ast` and, for what an import
really loads, start a fresh interpreter.
"""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent

MAY_IMPORT: dict[str, set[str]] = {
    "episodes": set(),
    "audits": {"episodes.errors"},
    "models": {"episodes"},
    "releases": {"episodes", "audits", "models"},
    "robot_io": {"episodes", "models", "releases"},
    "assets": {"episodes", "audits", "models", "releases", "robot_io"},
    "labeling_app": {"episodes", "audits", "models", "releases"},
    "pipelines": {"episodes", "audits", "models", "releases", "robot_io", "assets"},
}
PACKAGES = tuple(MAY_IMPORT)

# These know policies, monitors and learners by Protocol alone; so does everything of robot_io that they import.
MODEL_FREE = ("protocols", "ur", "ursim", "sim", "safety", "loop", "teleop", "cameras", "recorder")

# A third-party package that only these packages of ours may import, anywhere.
ONLY_IN: dict[str, set[str]] = {
    "dagster": {"assets", "pipelines"},
    "streamlit": {"labeling_app"},
    "sqlalchemy": {"audits"},
    "mujoco": {"robot_io"},
    "rtde_control": {"robot_io"},
    "rtde_receive": {"robot_io"},
    "rtde_io": {"robot_io"},
    "pyspacemouse": {"robot_io"},
}
DRIVERS = {"mujoco", "rtde_control", "rtde_receive", "rtde_io", "pyspacemouse"}
LEARNING = {"torch", "transformers", "faiss"}

# What importing a package, or all of its modules, must not load.
LOADS_NONE_OF: dict[str, set[str]] = {
    "episodes": LEARNING | DRIVERS | {"dagster", "streamlit", "sqlalchemy"},
    "audits": LEARNING | DRIVERS | {"dagster", "streamlit"},
    "releases": LEARNING | DRIVERS | {"dagster", "streamlit"},
    "robot_io.loop": LEARNING | DRIVERS | {"dagster", "streamlit"},
    "labeling_app": LEARNING | DRIVERS | {"dagster"},
    "assets": LEARNING | DRIVERS | {"streamlit"},
    "pipelines": LEARNING | DRIVERS | {"streamlit"},
}

FORBIDDEN_NAMES = {"utils", "helpers", "common", "base", "manager", "util", "helper", "managers"}
LONGEST_FUNCTION, LONGEST_FILE = 60, 350


def module_name(path: Path) -> str:
    """`episodes/formats/__init__.py` -> `episodes.formats`."""
    parts = path.relative_to(REPOSITORY).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def modules() -> dict[str, Path]:
    """Our modules, without the tests, by dotted name."""
    return {module_name(path): path for package in PACKAGES for path in sorted((REPOSITORY / package).rglob("*.py"))}


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), str(path))


def imported(name: str, *, when_loaded: bool = False) -> set[str]:
    """Dotted names that module `name` imports; with `when_loaded`, only what importing it executes."""
    nodes = executed(tree(modules()[name])) if when_loaded else ast.walk(tree(modules()[name]))
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= from_import(name, node)
    return found


def from_import(name: str, node: ast.ImportFrom) -> set[str]:
    """The modules that one `from x import y` names: `x.y` where that is a module of ours, else `x`."""
    source = node.module or ""
    if node.level:
        package = name if modules()[name].name == "__init__.py" else name.rpartition(".")[0]
        above = package.split(".")[: len(package.split(".")) - node.level + 1]
        source = ".".join([*above, *([node.module] if node.module else [])])
    return {f"{source}.{alias.name}" if f"{source}.{alias.name}" in modules() else source for alias in node.names}


def executed(node: ast.AST) -> Iterator[ast.AST]:
    """Nodes outside function bodies and outside `if TYPE_CHECKING`."""
    for child in ast.iter_child_nodes(node):
        typing_only = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test)
        if not typing_only and not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield child
            yield from executed(child)


def listing(wrong: set[str]) -> str:
    return "\n".join(["", *sorted(wrong)])


def is_within(name: str, allowed: set[str]) -> bool:
    return any(name == one or name.startswith(f"{one}.") for one in allowed)


def loaded_by(start: str) -> set[str]:
    """Every dotted name that importing module `start` reaches through our own modules, parents included."""
    reached: set[str] = set()
    waiting = [start]
    while waiting:
        name = waiting.pop()
        if name in reached:
            continue
        reached.add(name)
        if name in modules():
            waiting += imported(name, when_loaded=True)
            waiting += [name.rpartition(".")[0]] if "." in name else []
    return reached


# --- the table -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_go_one_way(package: str) -> None:
    ours = set(PACKAGES) - {package}
    wrong = {
        f"{name} imports {target}"
        for name in modules()
        if is_within(name, {package})
        for target in imported(name)
        if is_within(target, ours) and not is_within(target, MAY_IMPORT[package])
    }
    assert not wrong, listing(wrong)


def test_drivers_simulation_and_loop_know_no_models() -> None:
    others = set(PACKAGES) - {"episodes", "robot_io"}
    wrong = {
        f"{name} imports {target}" for name in model_free() for target in imported(name) if is_within(target, others)
    }
    assert not wrong, listing(wrong)


def model_free() -> set[str]:
    """The modules named in MODEL_FREE and everything of robot_io that they import, at any depth."""
    reached: set[str] = set()
    waiting = [name for name in modules() if is_within(name, {f"robot_io.{part}" for part in MODEL_FREE})]
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting += [target for target in imported(name) if target in modules() and is_within(target, {"robot_io"})]
    return reached


@pytest.mark.parametrize("library", ONLY_IN)
def test_library_stays_in_its_package(library: str) -> None:
    wrong = {
        name
        for name in modules()
        if not is_within(name, ONLY_IN[library]) and any(is_within(target, {library}) for target in imported(name))
    }
    assert not wrong, listing(wrong)


SAMPLE = """
import os.path
from typing import TYPE_CHECKING
from ..episodes import record
from .dataset import StepData
if TYPE_CHECKING:
    import dagster
class Net:
    import torch
    def fit(self):
        import faiss
"""


def test_every_form_of_import_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "sample.py"
    path.write_text(SAMPLE)
    ours = {"a.models.sample": path, "a.episodes.record": path}
    monkeypatch.setattr(sys.modules[__name__], "modules", lambda: ours)
    when_loaded = {"os.path", "typing", "a.episodes.record", "a.models.dataset", "torch"}
    assert imported("a.models.sample", when_loaded=True) == when_loaded
    assert imported("a.models.sample") == when_loaded | {"dagster", "faiss"}


# --- what an import loads --------------------------------------------------------------------------------------------

IMPORT_ALL = """
import importlib, sys
for name in sys.argv[2].split():
    importlib.import_module(name)
print(*sorted({name.partition(".")[0] for name in sys.modules} & set(sys.argv[1].split())))
"""


def is_script(name: str) -> bool:
    """Modules that do something when imported: the app's entry and `python -m` entries."""
    return name.endswith("__main__") or is_within(name, {"labeling_app.app"})


@pytest.mark.parametrize("package", LOADS_NONE_OF)
def test_reading_the_sources_an_import_loads_nothing_heavy(package: str) -> None:
    heavy = LOADS_NONE_OF[package]
    wrong = {
        f"{name} loads {target}"
        for name in modules()
        if is_within(name, {package})
        for target in loaded_by(name)
        if target.partition(".")[0] in heavy
    }
    assert not wrong, listing(wrong)


@pytest.mark.parametrize("package", LOADS_NONE_OF)
def test_an_import_loads_nothing_heavy(package: str) -> None:
    names = [name for name in modules() if is_within(name, {package}) and not is_script(name)]
    assert names, f"{package} has no modules"
    command = [sys.executable, "-c", IMPORT_ALL, " ".join(LOADS_NONE_OF[package]), " ".join(names)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, env=dict(os.environ))
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []


# --- habits ----------------------------------------------------------------------------------------------------------


def test_no_module_is_a_drawer() -> None:
    wrong = {name for name in modules() if FORBIDDEN_NAMES & set(name.split("."))}
    assert not wrong, listing(wrong)


PICKLES = {f"episodes.formats.pickles.{name}: import pickle" for name in ("child", "export")}
"""the program that builds plain arrays out of one, in a process of its own; and what writes them for others"""


def code_from_data(call: ast.Call) -> str | None:
    """Why this call could run code out of a file it reads, or None."""
    name = ast.unparse(call.func)
    literal = {keyword.arg: keyword.value.value for keyword in call.keywords if isinstance(keyword.value, ast.Constant)}
    if name in {"eval", "exec"}:
        return name
    if name == "torch.load" and literal.get("weights_only") is not True:
        return "torch.load without weights_only=True"
    if literal.get("allow_pickle") is True:
        return "allow_pickle=True"
    return None


def test_no_file_is_unpickled_or_evaluated() -> None:
    unsafe = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}
    named = {name: {target for target in imported(name) if is_within(target, unsafe)} for name in modules()}
    wrong = {f"{name}: import {target}" for name, targets in named.items() for target in targets}
    wrong -= PICKLES
    for name, path in modules().items():
        calls = (node for node in ast.walk(tree(path)) if isinstance(node, ast.Call))
        wrong |= {f"{name}:{call.lineno}: {reason}" for call in calls if (reason := code_from_data(call))}
    assert not wrong, listing(wrong)


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("eval(text)", "eval"),
        ("network.eval()", None),
        ("torch.load(file)", "torch.load without weights_only=True"),
        ("torch.load(file, weights_only=True)", None),
        ("np.load(file, allow_pickle=True)", "allow_pickle=True"),
        ("np.load(file, allow_pickle=False)", None),
    ],
)
def test_calls_that_run_code_from_data_are_seen(source: str, reason: str | None) -> None:
    call = ast.parse(source, mode="eval").body
    assert isinstance(call, ast.Call)
    assert code_from_data(call) == reason


def test_files_and_functions_stay_short() -> None:
    paths = [*modules().values(), *sorted((REPOSITORY / "speed").rglob("*.py"))]
    long_files = {f"{p.relative_to(REPOSITORY)}: {n}" for p in paths if (n := line_count(p)) > LONGEST_FILE}
    long_functions = {
        f"{path.relative_to(REPOSITORY)}:{node.lineno} {node.name}: {length}"
        for path in paths
        for node in ast.walk(tree(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (length := (node.end_lineno or node.lineno) - node.lineno + 1) > LONGEST_FUNCTION
    }
    assert not long_files | long_functions, listing(long_files | long_functions)


def line_count(path: Path) -> int:
    return len(path.read_text().splitlines())


MACHINE_PATH = re.compile(r"(?<![\w.\-/}])/(work|tmp|root|home|Users|opt)\b")
TEXT = {".py", ".md", ".toml", ".txt", ".yaml", ".yml", ".sh", ".cfg", ".ini", ".css", ".js", ".html", ".json"}


def repository_texts(folder: Path = REPOSITORY) -> Iterator[Path]:
    """Text files of the checkout, without environments, workspaces, caches and what a build leaves."""
    for path in sorted(folder.iterdir()):
        if path.is_dir():
            ours = not path.name.startswith(".") or path.name in {".ci", ".streamlit", ".github"}
            generated = path.name in {"build", "dist", "__pycache__"} or path.name.endswith(".egg-info")
            marked = (path / "pyvenv.cfg").exists() or (path / "workspace.json").exists()
            if ours and not generated and not marked:
                yield from repository_texts(path)
        elif path.suffix in TEXT or path.name == "Makefile" or path.parent.name == ".ci":
            yield path


def test_the_text_names_no_machine() -> None:
    wrong = {
        f"{path.relative_to(REPOSITORY)}:{number}: {line.strip()}"
        for path in repository_texts()
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        if MACHINE_PATH.search(line)
    }
    assert not wrong, listing(wrong)


def test_a_machine_path_is_seen() -> None:
    folder = "/" + "tmp"
    assert MACHINE_PATH.search(f'root = "{folder}/x"')
    assert not MACHINE_PATH.search(f"https://example.org{folder} and {{root}}{folder} and a{folder}")
