"""The split: quotas, groups that stay together, and rows that never change."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import polars as pl
import pytest
from episode_samples import sample_episode
from hypothesis import given
from hypothesis import strategies as st

from episodes.errors import DataRefused
from episodes.split import QUOTA_TENTHS, assign, assign_rows, read_split
from episodes.store import EpisodeStore


def rows(count: int, outcome: str = "success", task: str = "t", start: int = 0) -> list[dict[str, str]]:
    names = [f"{outcome}-{task}-{k}" for k in range(start, start + count)]
    return [{"episode_id": name, "group_id": name, "task": task, "outcome": outcome} for name in names]


@given(st.lists(st.sampled_from(["success", "failure", "unknown"]), max_size=120))
def test_every_quota_is_met_at_every_length(outcomes: list[str]) -> None:
    new = [{"episode_id": f"{k}", "group_id": f"{k}", "task": "t", "outcome": o} for k, o in enumerate(outcomes)]
    done = assign_rows([], new)
    for outcome in set(outcomes):
        count = Counter(row["split"] for row in done if row["outcome"] == outcome)
        for split, tenths in QUOTA_TENTHS.items():
            assert abs(10 * count[split] - tenths * count.total()) <= 10 * 1.0


@given(st.integers(0, 30), st.integers(0, 30))
def test_assigning_in_two_batches_is_assigning_in_one(first: int, second: int) -> None:
    batch = rows(first + second)
    done = assign_rows([], batch[:first])
    assert done + assign_rows(done, batch[first:]) == assign_rows([], batch)


def test_ten_of_an_outcome_are_seven_one_one_one() -> None:
    done = assign_rows([], rows(10) + rows(10, "failure") + rows(10, task="u"))
    for outcome, task in (("success", "t"), ("failure", "t"), ("success", "u")):
        count = Counter(row["split"] for row in done if (row["outcome"], row["task"]) == (outcome, task))
        assert count == Counter(QUOTA_TENTHS)


def test_ties_go_by_hash_and_not_by_name() -> None:
    third = {assign_rows([], rows(3, start=start))[2]["split"] for start in range(40)}
    assert third == {"validation", "calibration", "test"}


def test_one_trajectory_has_one_split_in_any_task() -> None:
    seen = assign_rows([], rows(3))
    twins = [{**row, "episode_id": f"twin-{row['episode_id']}", "task": "u", "outcome": "failure"} for row in seen]
    assert [row["split"] for row in assign_rows(seen, twins)] == [row["split"] for row in seen]


def test_an_assignment_never_changes(tmp_path: Path) -> None:
    store = EpisodeStore(tmp_path)
    for seed in range(5):
        store.write(sample_episode(seed))
    first = assign(store, "tube_insertion")
    assert first.columns == ["episode_id", "group_id", "task", "split", "outcome"]
    assert first["episode_id"].to_list() == store.ids()
    for seed in range(5, 9):
        store.write(sample_episode(seed))
    store.write(sample_episode(50, task="ram", session="ram"))
    outcomes = dict.fromkeys(store.ids(), "failure")
    second = assign(EpisodeStore(tmp_path), "tube_insertion", outcomes=outcomes)
    assert second.height == 9
    kept = second.join(first.select("episode_id"), on="episode_id")
    assert kept.sort("episode_id").equals(first)
    assert set(second.join(first, on="episode_id", how="anti")["outcome"]) == {"failure"}
    assert assign(store, "tube_insertion").equals(second)
    assert read_split(tmp_path).head(5).sort("episode_id").equals(first)


def test_the_same_trajectory_in_two_sessions_is_not_split(tmp_path: Path) -> None:
    store = EpisodeStore(tmp_path)
    for seed in range(12):
        store.write(sample_episode(seed))
        store.write(sample_episode(seed, images={}, session="without_images"))
    groups = assign(store, "tube_insertion").group_by("group_id").agg(pl.col("split").n_unique(), pl.len())
    assert groups["split"].to_list() == [1] * 12
    assert groups["len"].to_list() == [2] * 12


def test_a_damaged_split_is_refused_and_kept(tmp_path: Path) -> None:
    store = EpisodeStore(tmp_path)
    store.write(sample_episode())
    (tmp_path / "split.parquet").write_bytes(b"x")
    with pytest.raises(DataRefused, match="a new split would leak"):
        assign(store, "tube_insertion")
    assert (tmp_path / "split.parquet").read_bytes() == b"x"
