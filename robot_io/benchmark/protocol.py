"""What the table is a table of: which runs it has, and the world they happen in, fixed before they are run.

`VERSION` names tasks, person and schedule together. Every run carries it, and runs of two versions do not stand in one
table. What it stands for is written down in `PREREGISTERED` as one digest a part, over every number in the part's
code; whoever changes a randomisation range, a limit, a delay or a seed gives a new version and runs everything anew.

Nothing here imports a task or a method: the asset graph reads the names.
"""

from __future__ import annotations

import ast
import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

VERSION = "4"
RIGID = ("pick_eggplant", "tube_insertion", "ram_insertion", "wipe_whiteboard")
"""the tasks that the mean is over"""
TASKS = (*RIGID, "fold_towel")
METHODS = ("bc", "hil_serl", "hil_serl_farl", "hil_serl_regrasp")
CONTROL_TASKS = ("tube_insertion", "ram_insertion")
CONTROLS = ("hg_dagger", "random", "sham")
SEEDS = (0, 1, 2)
MATCHED: Mapping[str, str] = {"random": "hil_serl_regrasp"}
"""control -> the method whose run on the same task and seed it is matched to"""

_SIM = Path(__file__).resolve().parent.parent / "sim"
_PARTS: Mapping[str, tuple[str, ...]] = {
    "robot": ("arm.py", "robot.py", "scene.py", "task.py", "wrench.py"),
    "human": ("human.py", "stall.py"),
    **{task: (f"tasks/{task}.py",) for task in TASKS},
}
PREREGISTERED: Mapping[str, Mapping[str, str]] = {
    "4": {
        "robot": "83bad1bd01deeb32",
        "human": "ecfd2f1ad3b6ed51",
        "pick_eggplant": "fbfe795c87366912",
        "tube_insertion": "2c0a2e357356cacc",
        "ram_insertion": "6b5e6dcd0c8a31d1",
        "wipe_whiteboard": "f78dc690da53e8f7",
        "fold_towel": "5a7b7677cb189cb1",
        "schedule": "5c6330b48d40a1bf",
    },
}
"""version -> part -> digest; no table was made of the versions before"""
_NUMBER = re.compile(r"(?<![A-Za-z_\d.])-?(?:\d+\.?\d*|\.\d+)(?:e-?\d+)?")


class TableRun(NamedTuple):
    """One run of the table, or of its controls."""

    task: str
    method: str
    seed: int


def table_runs() -> list[TableRun]:
    """All runs of the table, seed by seed; what a control is matched to comes before it."""
    cells = [(task, method) for task in TASKS for method in METHODS]
    cells += [(task, control) for task in CONTROL_TASKS for control in CONTROLS]
    return [TableRun(task, method, seed) for seed in SEEDS for task, method in cells]


def digests() -> dict[str, str]:
    """part -> 16 hex digits over its numbers as they are now."""
    from robot_io.benchmark.method import SCHEDULES, SHORTER

    sources = {part: [(_SIM / name).read_text() for name in names] for part, names in _PARTS.items()}
    found = {part: [list(numbers(source)) for source in texts] for part, texts in sources.items()}
    schedules = {name: asdict(SCHEDULES[name]) for name in ("table", "full")}
    return {part: _digest(value) for part, value in (found | {"schedule": (schedules, dict(SHORTER))}).items()}


def numbers(source: str) -> Iterator[str]:
    """Every number in a module's code, in order, also those in its texts (a scene is one); not in its docstrings."""
    yield from _of(ast.parse(source))


def _of(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return  # a docstring
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        yield "-"
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        yield repr(node.value)
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield from (repr(float(number)) for number in _NUMBER.findall(node.value))
    for child in ast.iter_child_nodes(node):
        yield from _of(child)


def _digest(value: object) -> str:
    return hashlib.blake2b(repr(value).encode(), digest_size=8).hexdigest()
