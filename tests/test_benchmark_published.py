"""The committed record: the table comes out of it as out of the runs; and comparisons of methods are paired."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from test_benchmark_table import record, training, trial

from episodes.errors import DataRefused
from robot_io.benchmark.compare import comparisons
from robot_io.benchmark.published import CRASHES, EVALUATIONS, RUNS, read_record, write_record
from robot_io.benchmark.table import check_alike, table

CRASH = {"task": "fold_towel", "method": "hil_serl", "seed": 2, "error": "OSError: no space"}
RECORDS = [
    record(),
    record(method="hil_serl_regrasp", made={"rounds": [{"from_step": 200, "refused": "too few"}]}),
    record("fold_towel", method="bc", training=[]),
]


def test_the_table_is_the_same_from_the_record(tmp_path: Path) -> None:
    write_record(tmp_path, RECORDS, [CRASH])
    runs, crashes = read_record(tmp_path)
    assert table(runs) == table(RECORDS)
    assert crashes == [CRASH]
    for read, written in zip(runs, RECORDS, strict=True):
        assert replace(read, training=[]) == replace(written, training=[])
        assert read.training == [replace(row, episode_id="") for row in written.training]


def test_the_record_has_a_row_a_run_and_a_row_an_evaluation(tmp_path: Path) -> None:
    write_record(tmp_path, RECORDS, [])
    assert pl.read_parquet(tmp_path / RUNS).select("task", "method", "seed").height == 3
    judged = pl.read_parquet(tmp_path / EVALUATIONS).select("method", "test", "episodes", "successes")
    assert judged.rows()[:2] == [("hil_serl", False, 1, 0), ("hil_serl", True, 4, 3)]
    assert pl.read_parquet(tmp_path / CRASHES).height == 0


def test_without_a_record_the_sentence_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(DataRefused, match="regrasp benchmark run"):
        read_record(tmp_path)


def test_runs_of_two_protocols_or_schedules_do_not_mix() -> None:
    with pytest.raises(DataRefused, match="protocol 1 and 2, so they do not compare"):
        check_alike([record(versions={"mujoco": "4", "protocol": p}) for p in ("1", "2")])
    with pytest.raises(DataRefused, match="on tube_insertion have the schedules"):
        check_alike([record(), record(config={"schedule": {"warm_up": 100}})])
    check_alike([record(), record("fold_towel", config={"schedule": {"warm_up": 100}})])


def test_the_mean_is_over_the_rigid_tasks_and_names_them() -> None:
    runs = [record(), record("fold_towel", trials=[trial(False)]), record("pick_eggplant", trials=[trial(True)])]
    (mean,) = table(runs)["mean"]
    assert mean["tasks"] == ["pick_eggplant", "tube_insertion"]
    assert mean["sr"] == pytest.approx((1.0 + 0.75) / 2)
    assert table([record("fold_towel")])["mean"] == []


def test_half_the_interventions_are_a_ratio_of_a_half() -> None:
    human = {"hil_serl": 40, "hil_serl_regrasp": 20}
    runs = [
        record(task, method=method, seed=seed, training=[training(i, human=steps) for i in range(3)])
        for task in ("tube_insertion", "ram_insertion")
        for method, steps in human.items()
        for seed in (0, 1)
    ]
    (row,) = [row for row in comparisons(runs) if row["method"] == "hil_serl_regrasp"]
    assert (row["against"], row["tasks"]) == ("hil_serl", ["tube_insertion", "ram_insertion"])
    assert [row[f"ir_ratio{end}"] for end in ("", "_lo", "_hi")] == pytest.approx([0.5] * 3)
    assert [row[f"sr_difference{end}"] for end in ("", "_lo", "_hi")] == [0.0] * 3


def test_trials_are_compared_reset_by_reset() -> None:
    won = [replace(trial(True), reset_seed=reset) for reset in range(4)]
    lost = [replace(trial(False), reset_seed=reset) for reset in range(2, 6)]
    rows = comparisons([record(trials=lost), record(method="sham", trials=won), record(method="sham", seed=7)])
    (row,) = [row for row in rows if row["method"] == "sham"]
    assert (row["sr_difference"], row["sr_difference_lo"]) == (1.0, 1.0)


def test_without_interventions_there_is_no_ratio() -> None:
    idle = [training(0, human=0)]
    rows = comparisons([record(training=idle), record(method="sham")])
    assert [row["ir_ratio"] for row in rows if row["method"] == "sham"] == [None]
