"""The smoke run, as a person types it: only `make test-all` has the minutes."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.cli import main
from robot_io.benchmark.protocol import CONTROLS, METHODS, TASKS
from robot_io.benchmark.smoke import OWN, missing
from robot_io.benchmark.table import read_runs


@pytest.mark.slow
@pytest.mark.parametrize(
    ("tasks", "methods"), [(TASKS, METHODS), (("tube_insertion",), ("hil_serl_regrasp", *CONTROLS))]
)
def test_each_methods_own_code_runs_on_every_task(
    tasks: tuple[str, ...], methods: tuple[str, ...], smoked: Path
) -> None:
    """The second time `hil_serl_regrasp` is done already: it is what `random` is matched to."""
    asked = ["--tasks", *tasks, "--methods", *methods, "--seeds", "0", "--smoke", "--root", str(smoked)]
    assert main(["benchmark", "run", *asked]) == 0
    runs = [run for run in read_runs(smoked / "benchmark" / "smoke") if run.task in tasks and run.method in methods]
    assert {(run.task, run.method) for run in runs} == {(task, method) for task in tasks for method in methods}
    assert [lack for lack in map(missing, runs) if lack] == []


@pytest.fixture(scope="module")
def smoked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("smoke")


def test_every_method_that_stands_in_the_table_says_what_its_own_code_is() -> None:
    assert {*METHODS, *CONTROLS} <= set(OWN)
