"""Each check passes where it may and fails where it must, with a sentence that names the figure."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest

from assets import checks
from audits.freeze import freeze
from audits.log import AuditLog
from episodes.workspace import Workspace
from models.agreement import takeovers
from models.memory import MemoryItem, RecoveryMemory
from models.value_gate import GateLine, value_gate


def validated(**columns: list[Any]) -> pl.DataFrame:
    rows = len(next(iter(columns.values())))
    base = {"episode_id": [f"e{i}" for i in range(rows)], "collection": ["takeover"] * rows, "imported": [True] * rows}
    rest = {"steps": [10] * rows, "human_steps": [3] * rows, "errors": [0] * rows, "first_defect": [""] * rows}
    return pl.DataFrame({**base, **rest, **columns})


def test_a_session_with_one_good_episode_is_readable() -> None:
    line = checks.readable(validated(errors=[0, 2], first_defect=["", "time runs backwards"]))
    assert line.passed
    assert "1 of 2" in line.sentence
    assert "time runs backwards" in line.sentence
    assert not checks.readable(validated(errors=[1, 2])).passed


@pytest.mark.parametrize(
    ("human", "imported", "passed"),
    [(0, True, False), (10, True, False), (10, False, False), (3, True, True), (0, False, True)],
)
def test_a_dead_intervention_flag_is_seen(human: int, imported: bool, passed: bool) -> None:
    line = checks.intervention_flag(validated(human_steps=[human] * 6, imported=[imported] * 6))
    assert line.passed is passed


def test_few_takeovers_or_none_say_nothing_about_the_flag() -> None:
    assert checks.intervention_flag(validated(human_steps=[0] * 4)).passed
    assert checks.intervention_flag(validated(collection=["demo"] * 6, human_steps=[10] * 6)).passed


def test_a_trajectory_in_two_splits_is_a_leak() -> None:
    split = pl.DataFrame({"group_id": ["g", "g", "h"], "split": ["train", "train", "test"]})
    assert checks.no_leakage(split).passed
    line = checks.no_leakage(split.with_columns(split=pl.Series(["train", "test", "test"])))
    assert not line.passed
    assert "group g" in line.sentence


def test_without_a_freeze_there_is_a_warning_that_says_what_is_read(tmp_path: Path) -> None:
    line = checks.freeze_stands("label_freeze", "labels", None, Workspace.open(tmp_path, create=True))
    assert not line.passed
    assert not line.blocks
    assert "labels as mined" in line.sentence


def test_a_freeze_of_a_whole_log_stands_and_one_of_a_torn_log_blocks(tmp_path: Path) -> None:
    workspace = Workspace.open(tmp_path, create=True)
    log = AuditLog(workspace.audits)
    log.append("label.verdict", "e:1-2", by="ann", value={"verdict": "accept"}, shown={}, seconds=1.0)
    made = freeze(log, "labels", "demo", by="ann")
    assert checks.freeze_stands("label_freeze", "labels", made, workspace).passed
    workspace.audits.unlink()
    AuditLog(workspace.audits).append("episode.note", "e", by="bob", value={"text": "x"}, shown={}, seconds=1.0)
    line = checks.freeze_stands("label_freeze", "labels", made, workspace)
    assert line.blocks
    assert "demo" in line.sentence


def test_outcomes_are_asked_for_with_the_place_to_give_them() -> None:
    assert checks.outcomes_known(pl.Series(["success", "unknown"])).passed
    for nothing in (pl.Series(["unknown"]), pl.Series([], dtype=pl.String)):
        line = checks.outcomes_known(nothing)
        assert line.blocks
        assert "page Episodes" in line.sentence


def gate(curve: np.ndarray[Any, Any], failed: np.ndarray[Any, Any] | None = None) -> tuple[GateLine, ...]:
    """The lines of a model that gives each of four successes this curve, and each of four failures a third of it."""
    episodes = [_Judged(f"e{i}", i < 4) for i in range(8)]
    values = {e.episode_id: curve if e.success else curve / 3 if failed is None else failed for e in episodes}
    return value_gate(episodes, values, values, median_duration_s=5.0)  # type: ignore[arg-type]


class _Judged(SimpleNamespace):
    """As much of an episode as the gate asks for."""

    def __init__(self, episode_id: str, success: bool) -> None:
        super().__init__(episode_id=episode_id, success=success, unaided=True, fps=10.0, collection="rollout")
        self.policy_id, self.runs, self.source = "bc", [(0, 50)], np.zeros(50, np.uint8)

    def __len__(self) -> int:
        return 50


RISING = np.linspace(0.1, 1, 50)


def test_a_rising_value_passes_the_gate() -> None:
    line = checks.value_calibration(gate(RISING))
    assert line.passed
    assert line.figures["VOC of V, unaided successes"] == pytest.approx(1.0)
    assert line.figures["AUROC of W within one policy"] is None, "four of a kind are not judged"


@pytest.mark.parametrize(
    ("curve", "failed", "named"),
    [
        (np.full(50, 0.5), None, "VOC of V, nominal successes"),
        (np.linspace(1, 0.1, 50), None, "VOC of V, worst source (bc)"),
        (RISING * 0.8, None, "V at the end of successes, median"),
        (RISING * 1.2, None, "share of steps with V above 1"),
        (RISING, RISING, "AUROC of W"),
        (RISING, np.maximum(RISING - 0.05, 0), "slope of V in stalls, of nominal"),
    ],
    ids=["constant", "falling", "undertrained", "unbounded", "blind to failure", "rising in a jam"],
)
def test_a_value_that_is_not_fit_is_refused_by_the_line_it_fails(
    curve: np.ndarray[Any, Any], failed: np.ndarray[Any, Any] | None, named: str
) -> None:
    line = checks.value_calibration(gate(curve, failed))
    assert line.blocks
    assert named in line.sentence
    assert ": " in line.sentence.partition(named)[2], "what to do is said"


def test_without_a_success_nothing_was_calibrated() -> None:
    line = checks.value_calibration(value_gate([], {}, {}, median_duration_s=5.0))
    assert line.blocks
    assert "page Episodes" in line.sentence


def test_a_rule_that_marks_successes_is_refused_only_if_training_reads_it() -> None:
    assert checks.label_rates({"stagnation": 0.1, "plateau": 0.98}).passed
    line = checks.label_rates({"stagnation": 0.31, "plateau": 0.0})
    assert line.blocks
    assert "31.0%" in line.sentence


def test_takeovers_without_labels_before_them_are_refused_when_there_are_enough() -> None:
    assert checks.takeover_alignment(5, 10).passed
    assert checks.takeover_alignment(0, 4).passed
    assert checks.takeover_alignment(4, 10).blocks


def test_takeovers_begin_where_a_person_follows_a_robot() -> None:
    assert takeovers(pl.Series([2, 2, 0, 2, 2, 1, 2, 3, 2], dtype=pl.UInt8)) == [3, 6]


def item(episode_id: str, value: float, goal_value: float) -> MemoryItem:
    features = np.ones(3, np.float32)
    chunk = np.zeros((8, 2), np.float32)
    return MemoryItem(
        task="insert",
        episode_id=episode_id,
        t=0,
        goal_t=9,
        key=features,
        goal=features,
        value=value,
        goal_value=goal_value,
        chunk=chunk,
    )


@pytest.mark.parametrize(
    ("items", "passed", "said"),
    [
        ([item("a", 0.1, 0.5)], True, "1 items"),
        ([], False, "empty"),
        ([item("a", 0.1, 0.5), item("t", 0.1, 0.5)], False, "test episode t"),
        ([item("a", 0.5, 0.5)], False, "no better"),
    ],
)
def test_a_memory_holds_better_states_of_other_than_test_episodes(
    items: list[MemoryItem], passed: bool, said: str
) -> None:
    line = checks.memory_valid(RecoveryMemory.build(items, "encoder"), {"t"})
    assert line.passed is passed
    assert said in line.sentence
