"""The page of the benchmark: computed, never typed; it says what is met and what is not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from conftest import REPOSITORY
from test_benchmark_table import record, training, trial

from episodes.errors import DataRefused
from pipelines import benchmark
from pipelines.benchmark_page import LABELS, PAGE, page, write_page
from pipelines.cli import main
from robot_io.benchmark.published import read_record, write_record
from robot_io.benchmark.record import RunRecord
from robot_io.benchmark.run import METHODS

CRASH = {"task": "fold_towel", "method": "hil_serl", "seed": 2, "error": "OSError: no space"}
SCHEDULE = {
    "steps": 400,
    "warm_up": 100,
    "evaluation_seed": 60_000,
    "evaluation_episodes": 1,
    "test_seed": 90_000,
    "test_episodes": 4,
}


def run(method: str, human: int, won: int, seed: int) -> RunRecord:
    return record(
        method=method,
        seed=seed,
        config={"schedule": SCHEDULE},
        versions={"mujoco": "4.0.0", "protocol": "1"},
        training=[training(i, human=human) for i in range(4)],
        trials=[replace(trial(i < won), reset_seed=90_000 + i) for i in range(10)],
    )


@pytest.fixture
def runs() -> list[RunRecord]:
    reached = {"hil_serl": (30, 9), "hil_serl_regrasp": (12, 9), "random": (20, 9)}
    return [run(method, human, won, seed) for method, (human, won) in reached.items() for seed in (0, 1)]


def test_the_committed_page_is_the_one_its_record_makes() -> None:
    committed = REPOSITORY / "docs" / PAGE
    if not benchmark.RECORD.is_dir():
        assert not committed.exists()
        pytest.skip("the table has not been run yet")
    assert committed.read_text() == page(*read_record(benchmark.RECORD))


def test_what_was_asked_for_is_met_or_not(runs: list[RunRecord]) -> None:
    text = page(runs, [])
    assert "an SR >= 0.8: 0.900 [" in text
    assert "IR of `hil_serl_regrasp` over IR of `hil_serl` <= 0.43: 0.400 [0.400, 0.400], **met**" in text
    assert "over IR of `random` <= 0.75: 0.600 [0.600, 0.600], **met**" in text
    worse = [run("hil_serl_regrasp", 20, 9, 0), *[r for r in runs if r.method == "hil_serl"]]
    assert "<= 0.43: 0.667 [0.667, 0.667], **not met**" in page(worse, [])


def test_a_gain_is_asked_for_where_the_baseline_leaves_room(runs: list[RunRecord]) -> None:
    assert "minus SR of `hil_serl` >= 0.05: 0.000 [0.000, 0.000], **not met**" in page(runs, [])
    better = [run(method, 10, 10, 0) for method in ("hil_serl", "hil_serl_regrasp")]
    assert "minus SR of `hil_serl` >= -0.02: 0.000 [0.000, 0.000], **met**" in page(better, [])


def test_it_names_commands_versions_seeds_and_crashes(runs: list[RunRecord]) -> None:
    text = page(runs, [CRASH])
    command = "--tasks tube_insertion --methods hil_serl hil_serl_regrasp random --seeds 0 1\n"
    assert f"regrasp benchmark run {command}" in text
    assert "| mujoco | 4.0.0 |" in text
    assert "test resets, 90000 to 90003" in text
    assert "fold_towel hil_serl seed 2: OSError: no space" in text
    assert "stall 8" in text
    assert "no progress for 3 s, more than 60 N" in text


def test_every_method_is_explained() -> None:
    assert set(METHODS) <= set(LABELS)


def test_equal_runs_make_an_equal_page(runs: list[RunRecord], tmp_path: Path) -> None:
    write_record(tmp_path / "benchmark", runs, [CRASH])
    write_page(tmp_path, runs, [CRASH])
    assert (tmp_path / PAGE).read_text() == page(*read_record(tmp_path / "benchmark"))


def test_a_workspace_without_runs_shows_the_committed_record(
    runs: list[RunRecord], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    record_directory, workspace = tmp_path / "docs" / "benchmark", tmp_path / "w"
    write_record(record_directory, runs, [])
    monkeypatch.setattr(benchmark, "RECORD", record_directory)
    assert benchmark.known_runs(workspace, "table")[2] == "record"
    with pytest.raises(DataRefused, match="regrasp benchmark run"):
        benchmark.known_runs(workspace, "smoke")
    assert main(["benchmark", "table", "--root", str(workspace)]) == 0
    assert "from the committed record" in capsys.readouterr().out
    runs[0].write(workspace / "benchmark" / "table" / "run")
    found, _, source = benchmark.known_runs(workspace, "table")
    assert (len(found), source) == (1, "workspace")


def test_the_page_and_its_record_are_written_by_one_command(runs: list[RunRecord], tmp_path: Path) -> None:
    for i, one in enumerate(runs):
        one.write(tmp_path / "w" / "benchmark" / "table" / str(i))
    docs = str(tmp_path / "docs")
    assert main(["benchmark", "table", "--write-docs", docs, "--smoke", "--root", str(tmp_path / "w")]) == 2
    assert main(["benchmark", "table", "--write-docs", docs, "--root", str(tmp_path / "w")]) == 0
    assert (tmp_path / "docs" / PAGE).read_text() == page(*read_record(tmp_path / "docs" / "benchmark"))
