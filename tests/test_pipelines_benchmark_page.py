"""The page of the benchmark: computed, never typed; it says what is met and what is not."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import replace
from pathlib import Path

import pytest
import tyro
from conftest import REPOSITORY
from test_benchmark_table import record, training, trial

from episodes.errors import DataRefused
from pipelines import benchmark
from pipelines.benchmark_page import LABELS, PAGE, page, recorded_page, write_page
from pipelines.cli import main
from pipelines.commands.benchmark import Run, Sweep
from robot_io.benchmark.protocol import TASKS
from robot_io.benchmark.published import read_record, write_record
from robot_io.benchmark.record import RunRecord, run_directory
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
    committed = benchmark.DOCS / PAGE
    assert REPOSITORY / "docs" == benchmark.DOCS
    if not benchmark.recorded(benchmark.record_directory(benchmark.DOCS, "table")):
        assert not committed.exists()
        pytest.skip("the table has not been run yet")
    assert committed.read_text() == recorded_page(benchmark.DOCS)


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
    write_page(tmp_path)
    assert (tmp_path / PAGE).read_text() == page(*read_record(tmp_path / "benchmark"))


def test_a_workspace_without_runs_shows_the_committed_record(
    runs: list[RunRecord], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    docs, workspace = tmp_path / "docs", tmp_path / "w"
    write_record(docs / "benchmark", runs, [])
    monkeypatch.setattr(benchmark, "DOCS", docs)
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


def settled(runs: list[RunRecord], workspace: Path, schedule: str) -> None:
    """As `regrasp benchmark` leaves them."""
    for one in runs:
        one.write(run_directory(workspace, schedule, one.task, one.method, one.seed))


def test_image_mode_has_a_record_and_a_part_of_the_page_of_its_own(runs: list[RunRecord], tmp_path: Path) -> None:
    workspace, docs = tmp_path / "w", tmp_path / "docs"
    seeing = {"cameras": ["third", "wrist"], "image_px": 64}
    settled([replace(one, config={**one.config, "images": seeing}) for one in runs], workspace, "images")
    write = ["--write-docs", str(docs), "--root", str(workspace)]
    assert main(["benchmark", "table", "--images", *write]) == 0
    assert not (docs / PAGE).exists(), "a page of image mode alone"
    settled(runs, workspace, "table")
    assert main(["benchmark", "table", *write]) == 0
    assert "128 numbers of third and wrist (64 pixels)" in (docs / PAGE).read_text()
    assert len(read_record(docs / "benchmark" / "images")[0]) == len(runs)
    assert "## From camera images" not in page(runs, [])


def test_other_people_have_a_table_of_their_own(
    runs: list[RunRecord], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace, docs = tmp_path / "w", tmp_path / "docs"
    settled(runs, workspace, "table")
    settled([run("hil_serl", 40, 9, 0), run("hil_serl_regrasp", 30, 9, 0)], workspace, "sweep-window_s-2")
    assert main(["benchmark", "table", "--sweep", "--json", "--root", str(workspace)]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [(row["setting"], row["value"]) for row in rows] == [("", None), ("window_s", 2.0)]
    assert [row["ir_ratio"] for row in rows] == pytest.approx([0.4, 0.75])
    assert main(["benchmark", "table", "--sweep", "--root", str(workspace)]) == 0
    assert re.search(r"window 2 s +tube_insertion .* 0\.750 \[", capsys.readouterr().out)
    write = ["--write-docs", str(docs), "--root", str(workspace)]
    assert main(["benchmark", "table", *write]) == 0
    assert main(["benchmark", "table", "--sweep", *write]) == 0
    text = (docs / PAGE).read_text()
    assert "| window 2 s | tube_insertion | 1 | 0.4 | 0.3 | 0.750 [0.750, 0.750] |" in text
    assert "The person of the table has 3 s, 0.6 s\nand 0.95." in text
    assert len(read_record(docs / "benchmark")[0]) == len(runs), "the table's record is the table's"


def test_the_page_names_the_commands_beyond_the_table(runs: list[RunRecord]) -> None:
    """Each is one that the command line takes, with methods and seeds that are not in the table."""
    text = page(runs, [])
    commands = [line for line in text.replace("\\\n", "").splitlines() if line.startswith("regrasp benchmark")]
    beyond = commands[commands.index("regrasp benchmark table --write-docs docs") + 1 :]
    assert len(beyond) == 4
    for command in beyond:
        name, *arguments = shlex.split(command)[2:]
        verb = tyro.cli({"run": Run, "sweep": Sweep}[name], args=arguments)
        assert set(getattr(verb, "methods", ())) <= set(METHODS)
        assert set(getattr(verb, "tasks", ())) <= set(TASKS)
