"""The table of the benchmark: rates from rows, intervals that contain them, and what does not belong together."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from episodes.errors import DataRefused
from models.sealed import write_sealed
from robot_io.benchmark.record import CRASH, RunRecord, TrainingEpisode, Trial
from robot_io.benchmark.table import draws, interval, intervention, read_crashes, read_runs, table

VERSIONS = {"mujoco": "4.0.0"}


def training(index: int, *, human: int, steps: int = 100, success: bool = True) -> TrainingEpisode:
    return TrainingEpisode(
        index=index,
        reset_seed=index,
        first_step=index * 100,
        steps=steps,
        policy_steps=steps - human,
        human_steps=human,
        recovery_steps=0,
        hold_steps=0,
        success=success,
        end_reason="success" if success else "timeout",
        failure_mode="" if success else "jam",
        reasons=("stall",) if human else (),
        before=("unnoticed",) if human else (),
        triggers=0,
        recoveries=0,
        recoveries_better=0,
        fault="",
        episode_id=f"{index:016x}",
    )


def trial(success: bool, *, test: bool = True) -> Trial:
    mode = "" if success else "jam"
    return Trial(step=400, test=test, reset_seed=90_000, success=success, steps=40, failure_mode=mode)


def record(task: str = "tube_insertion", method: str = "hil_serl", seed: int = 0, **changes: object) -> RunRecord:
    """400 steps, 60 of them human, 10 of these after the warm-up; three of four last trials succeed."""
    human = (50, 0, 10, 0)
    given: dict[str, object] = {
        "task": task,
        "method": method,
        "seed": seed,
        "config": {"schedule": {"warm_up": 200}},
        "versions": VERSIONS,
        "seconds": 5.0,
        "training": [training(i, human=h, success=i > 0) for i, h in enumerate(human)],
        "trials": [trial(False, test=False), *(trial(won) for won in (True, True, True, False))],
    }
    return RunRecord(**(given | changes))


def test_rates_are_those_of_the_rows() -> None:
    row = table([record()])["tasks"][0]
    assert (row["task"], row["method"], row["seeds"]) == ("tube_insertion", "hil_serl", [0])
    assert (row["sr"], row["ir"], row["ir_online"]) == (0.75, 0.15, 0.05)
    assert (row["trials"], row["steps"], row["episodes"]) == (4, 400, 4)
    assert (row["training_sr"], row["policy_share"], row["recovery_share"]) == (0.75, 0.85, 0.0)
    assert row["human_steps_per_episode"] == 15.0
    assert row["human_s_per_success"] == 2.0
    assert row["takeovers"] == {"stall": 2}
    assert row["failure_modes"] == {"jam": 1}
    assert row["training_failure_modes"] == {"jam": 1}


def test_every_interval_holds_its_rate() -> None:
    row = table([record(), record(seed=1)])["tasks"][0]
    for name in ("sr", "ir", "ir_online"):
        assert 0.0 <= row[f"{name}_lo"] < row[name] < row[f"{name}_hi"] <= 1.0


def test_a_rate_without_any_spread_has_no_width() -> None:
    same = record(training=[training(i, human=20) for i in range(3)])
    assert interval([[same, same]], intervention).low == pytest.approx(0.2)
    assert interval([[same, same]], intervention).high == pytest.approx(0.2)


def test_the_mean_counts_every_task_alike() -> None:
    short = record("ram_insertion", training=[training(0, human=50)], trials=[trial(False)])
    rows = table([record(), record(seed=1), short])
    (mean,) = rows["mean"]
    assert mean["ir"] == pytest.approx((0.15 + 0.5) / 2)
    assert mean["sr"] == pytest.approx((0.75 + 0.0) / 2)
    assert mean["steps"] == 900


def test_a_method_without_training_has_no_intervention_rate() -> None:
    row = table([record(method="bc", training=[])])["mean"][0]
    assert row["sr"] == 0.75
    assert [row[name] for name in ("ir", "ir_lo", "ir_online", "human_s_per_success", "training_sr")] == [None] * 5


def test_the_runs_of_several_versions_of_mujoco_do_not_mix(tmp_path: Path) -> None:
    record().write(tmp_path / "a")
    record(seed=1).write(tmp_path / "b" / "c")
    assert [run.seed for run in read_runs(tmp_path)] == [0, 1]
    record(seed=2, versions={"mujoco": "3.17.0"}).write(tmp_path / "d")
    with pytest.raises(DataRefused, match=r"3\.17\.0 and 4\.0\.0"):
        read_runs(tmp_path)


def test_what_crashed_is_told_until_it_is_done(tmp_path: Path) -> None:
    crash = {"task": "tube_insertion", "method": "hil_serl", "seed": 0, "error": "OSError: no space"}
    write_sealed(tmp_path / "run" / CRASH, crash)
    assert read_crashes(tmp_path) == [crash]
    record().write(tmp_path / "run")
    assert read_crashes(tmp_path) == []


def test_the_bootstrap_has_the_spread_of_its_two_levels() -> None:
    """Two runs of rates a and b without any spread inside: a resample is a, b, or half way between in half of them."""
    low, high = (record(seed=seed, training=[training(i, human=h) for i in range(5)]) for seed, h in ((0, 10), (1, 30)))
    drawn = draws([[intervention(low), intervention(high)]], seed=0)
    shares = [np.mean(np.isclose(drawn, rate)) for rate in (0.1, 0.2, 0.3)]
    assert shares == pytest.approx([0.25, 0.5, 0.25], abs=0.05)
    assert draws([[intervention(record())]], seed=0).std() > 0
