"""The benchmark as assets, really run by Dagster on a tiny schedule."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import dagster as dg
import pytest
from conftest import REPOSITORY

from assets.benchmark import RUNS
from assets.making import Maker
from episodes.errors import DataRefused, UsageError
from episodes.workspace import Workspace
from models.actor_critic import ActorCriticConfig
from models.sealed import read_sealed
from pipelines.definitions import definitions
from pipelines.materialize import materialize
from robot_io.benchmark.hil_serl import HilSerl, HilSerlConfig
from robot_io.benchmark.method import SCHEDULES, Schedule
from robot_io.benchmark.protocol import table_runs
from robot_io.benchmark.record import run_directory
from robot_io.benchmark.run import METHODS
from robot_io.benchmark.summary import SUMMARY

NETS = ActorCriticConfig(hidden=16, critics=3, clone_steps=60, clone_batch=32)
TINY = Schedule(steps=150, warm_up=50, demonstrations=1, evaluate_every=100, evaluation_episodes=1, test_episodes=1)
PARTITION = "tube_insertion:hil_serl:0"


@pytest.fixture(scope="module", autouse=True)
def tiny() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(SCHEDULES, "table", TINY)  # type: ignore[arg-type]
        learner = HilSerlConfig(nets=NETS, updates=1, batch=16, pretraining=2)
        patch.setitem(METHODS, "hil_serl", partial(HilSerl, config=learner))  # type: ignore[arg-type]
        yield


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("benchmark") / "w"


@pytest.fixture(scope="module")
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def made(
    root: Path, instance: dg.DagsterInstance, name: str, partition: str | None = None
) -> dg.ExecuteInProcessResult:
    job = definitions(Maker(root)).resolve_implicit_global_asset_job_def()
    return job.execute_in_process(
        asset_selection=[dg.AssetKey(["benchmark", name])], partition_key=partition, instance=instance
    )


def shown(result: dg.ExecuteInProcessResult) -> dict[str, dg.MetadataValue]:
    (event,) = result.get_asset_materialization_events()
    return dict(event.materialization.metadata)


@pytest.fixture(scope="module")
def run(root: Path, instance: dg.DagsterInstance) -> dict[str, dg.MetadataValue]:
    """What the UI shows of one run."""
    return shown(made(root, instance, "run", PARTITION))


def test_a_run_tells_its_rates_takeovers_and_curves(run: dict[str, dg.MetadataValue], root: Path) -> None:
    assert {"sr", "sr_lo", "sr_hi", "ir", "ir_lo", "ir_hi"} <= set(run)
    assert isinstance(run["takeovers"].value, dict)
    for curve in ("SR", "IR"):
        assert str(run[f"{curve} over the steps"].value).startswith("![](data:image/png;base64,")
    assert (run_directory(root, "table", "tube_insertion", "hil_serl", 0) / "run.json").exists()


def test_a_finished_run_is_read_and_not_run_again(
    run: dict[str, dg.MetadataValue], root: Path, instance: dg.DagsterInstance
) -> None:
    assert shown(made(root, instance, "run", PARTITION))["seconds"] == run["seconds"]


def test_table_and_curves_are_of_the_finished_runs(
    run: dict[str, dg.MetadataValue], root: Path, instance: dg.DagsterInstance
) -> None:
    table = shown(made(root, instance, "table"))
    (row,) = table["tasks"].records
    assert (row.data["method"], row.data["sr"]) == ("hil_serl", run["sr"].value)
    assert read_sealed(root / "benchmark" / "table" / SUMMARY)["tasks"][0]["sr"] == run["sr"].value
    curves = shown(made(root, instance, "curves"))
    assert set(curves) == {f"tube_insertion, {curve} over the steps" for curve in ("SR", "IR")}


def test_materialize_starts_no_run(root: Path, run: dict[str, dg.MetadataValue]) -> None:
    report = materialize(Workspace.open(root), say=lambda line: None, show_progress=False)
    assert (report.runs, report.made) == (0, [])
    with pytest.raises(UsageError, match="no asset 'benchmark/run'"):
        materialize(Workspace.open(root), ["benchmark/run"])


def test_without_runs_there_is_no_table(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    with pytest.raises(DataRefused, match="regrasp benchmark run"):
        made(tmp_path, instance, "table")


def test_the_partitions_are_the_runs_of_the_table() -> None:
    assert [tuple(key.split(":")) for key in RUNS.get_partition_keys()] == [
        (task, method, str(seed)) for task, method, seed in table_runs()
    ]


def test_the_graph_is_loaded_without_simulator_or_torch() -> None:
    code = (
        "import sys, pipelines.definitions; print([m for m in ('torch', 'mujoco', 'polars') if m in sys.modules][:2])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True)
    assert "torch" not in done.stdout, done.stdout
    assert "mujoco" not in done.stdout, done.stdout
    assert done.returncode == 0, done.stderr
