"""`regrasp benchmark`: runs side by side, the table of them, and what is refused before anything runs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import REPOSITORY

from models.sealed import read_sealed
from pipelines import benchmark
from pipelines.benchmark import run_directory, run_plans, sweep_plans, waves
from pipelines.cli import main
from robot_io.benchmark.method import Schedule
from robot_io.benchmark.record import RunRecord
from robot_io.benchmark.run import Plan
from robot_io.benchmark.summary import SUMMARY
from robot_io.benchmark.sweep import SETTINGS
from robot_io.sim import render

SHORT = Schedule(steps=0, warm_up=0, demonstrations=1, evaluation_episodes=1, test_episodes=1)
BC = Plan(task="tube_insertion", method="bc", seed=0, schedule=SHORT)
NOWHERE = Plan(task="juggling", method="bc", seed=0, schedule=SHORT)
ENDLESS = Plan(task="tube_insertion", method="bc", seed=0, schedule=Schedule(demonstrations=10**6))
PROGRAM = """
import sys
from pathlib import Path
from pipelines import cli
from pipelines.benchmark import run_plans
from test_pipelines_benchmark import ENDLESS
if __name__ == "__main__":
    cli.Inspect.run = lambda self, root: run_plans(root, "table", [ENDLESS], workers=1, done=print)
    sys.exit(cli.main(["inspect", "--root", sys.argv[1]]))
"""
PATIENCE_S = 60


def run(root: Path, *arguments: str) -> int:
    return main(["benchmark", *arguments, "--root", str(root)])


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[Plan, RunRecord | Exception]]:
    root, told = tmp_path_factory.mktemp("benchmark"), {}
    run_plans(root, "table", [BC, NOWHERE], workers=1, done=lambda plan, what: told.update({plan: what}))
    return root, told


def test_a_run_that_fails_does_not_stop_the_others(done: tuple[Path, dict[Plan, RunRecord | Exception]]) -> None:
    root, told = done
    assert isinstance(told[BC], RunRecord)
    assert "no simulated task" in str(told[NOWHERE])
    assert (run_directory(root, "table", BC) / "workspace.json").exists()
    assert not run_directory(root, "table", NOWHERE).exists()


def test_the_table_is_read_from_the_runs(
    done: tuple[Path, dict[Plan, RunRecord | Exception]], capsys: pytest.CaptureFixture[str]
) -> None:
    root, told = done
    record = told[BC]
    assert isinstance(record, RunRecord)
    assert run(root, "table", "--json") == 0
    rows = json.loads(capsys.readouterr().out)
    assert rows["mean"][0]["method"] == "bc"
    assert rows["mean"][0]["sr"] == sum(trial.success for trial in record.trials if trial.test)
    assert rows["crashed"] == []
    assert run(root, "table") == 0
    assert "tube_insertion" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("run", "--tasks", "juggling"), "no task 'juggling'"),
        (("run", "--methods", "magic"), "no method 'magic'"),
        (("run", "--smoke", "--full"), "apart: --smoke and --full"),
        (("run", "--full", "--images"), "apart: --full and --images"),
        (("run", "--workers", "0"), "at least 1"),
        (("sweep", "--tasks", "juggling"), "no task 'juggling'"),
    ],
)
def test_what_cannot_run_is_refused_before_anything_runs(
    arguments: tuple[str, ...], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, *arguments) == 2
    assert said in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_without_opengl_image_mode_is_refused_before_anything_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(render, "LIBRARIES", {"egl": "libNoEGL.so.1", "osmesa": "libNoOSMesa.so.8"})
    assert run(tmp_path, "run", "--images") == 2
    assert "apt-get install" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_sweep_makes_the_tables_runs_and_those_of_six_other_people() -> None:
    people = sweep_plans(("ram_insertion",), (0, 1))
    assert list(people) == ["table", *(setting.schedule for setting in SETTINGS)]
    assert {plan.setting for plan in people["table"]} == {None}
    assert people["table"] == [
        Plan(task="ram_insertion", method=method, seed=seed, schedule=Schedule())
        for seed in (0, 1)
        for method in ("hil_serl", "hil_serl_regrasp")
    ]
    for setting in SETTINGS:
        told = [replace(plan, setting=None) for plan in people[setting.schedule]]
        assert told == people["table"]
        assert {plan.setting for plan in people[setting.schedule]} == {setting}


def test_a_control_runs_after_what_it_is_matched_to() -> None:
    methods = ("random", "bc", "hil_serl_regrasp")
    plans = [Plan(task="tube_insertion", method=method, seed=0, schedule=SHORT) for method in methods]
    assert [[plan.method for plan in wave] for wave in waves(plans)] == [["bc", "hil_serl_regrasp"], ["random"]]


def test_the_table_is_left_beside_the_runs_for_the_app(done: tuple[Path, dict[Plan, RunRecord | Exception]]) -> None:
    found = read_sealed(done[0] / "benchmark" / "table" / SUMMARY)
    assert [(row["task"], row["method"]) for row in found["tasks"]] == [("tube_insertion", "bc")]


def test_without_a_run_or_a_record_there_is_no_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(benchmark, "DOCS", tmp_path / "nowhere")
    assert run(tmp_path, "table") == 3
    assert "regrasp benchmark run" in capsys.readouterr().err


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_a_killed_command_stops_its_runs_after_the_episode_they_are_in(tmp_path: Path, how: signal.Signals) -> None:
    """A `kill` is answered in one sentence; a `kill -9` cannot be, but no run goes on alone."""
    script, root = tmp_path / "program.py", tmp_path / "workspace"
    script.write_text(PROGRAM)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(REPOSITORY), str(REPOSITORY / "tests")))}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = subprocess.Popen(
        [sys.executable, script, root], env=environment, text=True, start_new_session=True, **pipes
    )
    deadline = time.monotonic() + PATIENCE_S
    while not list(root.rglob("*.h5")) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(how)
    try:
        told, said = process.communicate(timeout=PATIENCE_S)  # until the run too has let go of both
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    assert list(root.rglob("*.h5")), said
    assert told == ""
    if how is signal.SIGTERM:
        assert (process.returncode, said) == (130, "interrupted; the same command goes on where it stopped\n")
    assert not list(root.rglob("*.tmp"))
