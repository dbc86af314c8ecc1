"""Decisions laid over what files say."""

from __future__ import annotations

import math
from pathlib import Path

import polars as pl
import pytest
from episode_samples import sample_episode

from episodes.decided import SCHEMA, decide
from episodes.errors import DataRefused
from episodes.record import Outcome
from episodes.store import EpisodeStore
from models.dataset import load_decided


def test_without_decisions_the_files_stand(tmp_path: Path) -> None:
    store = EpisodeStore(tmp_path)
    name = store.write(sample_episode())
    crashed = store.write(sample_episode(1, complete=False, success=Outcome.UNKNOWN, success_derivation=""))
    table = decide(store, "tube_insertion", {})
    assert table.schema == SCHEMA
    assert table["episode_id"].to_list() == sorted([name, crashed])
    row, torn = (table.row(by_predicate=pl.col("episode_id") == key, named=True) for key in (name, crashed))
    assert (row["success"], row["success_derivation"], row["excluded"]) == ("success", "operator key", False)
    assert (row["failure_mode"], row["weight"], row["note"]) == ("", 1.0, "")
    assert (row["session"], row["collection"], row["length"], row["duration_s"]) == ("monday", "takeover", 6, 0.5)
    assert (torn["success"], torn["complete"], torn["excluded"]) == ("unknown", False, True)


def test_decisions_win_and_the_file_stays(tmp_path: Path) -> None:
    store = EpisodeStore(tmp_path)
    name = store.write(sample_episode())
    decision = {"success": "failure", "failure_mode": "jam", "excluded": True, "weight": 0.5, "note": "bent tube"}
    (row,) = decide(store, "tube_insertion", {name: decision, "0" * 16: {"success": "failure"}}).to_dicts()
    assert {key: row[key] for key in decision} == decision
    assert row["success_derivation"] == "episode freeze"
    assert store.read(name).success is Outcome.SUCCESS


def test_weight_zero_excludes_and_no_other_weight_does(tmp_path: Path) -> None:
    store = EpisodeStore(tmp_path)
    ids = sorted(store.write(sample_episode(seed)) for seed in range(3))
    decisions = {ids[0]: {"weight": 0, "excluded": False}, ids[1]: {"weight": 0.01}}
    table = decide(store, "tube_insertion", decisions)
    assert table["excluded"].to_list() == [True, False, False]
    split = table.select("episode_id", group_id="episode_id", split=pl.lit("train"))
    assert [e.episode_id for e in load_decided(store, table, split)] == ids[1:]


def test_other_tasks_are_not_in_it(tmp_path: Path) -> None:
    store = EpisodeStore(tmp_path)
    store.write(sample_episode())
    assert decide(store, "ram", {}).height == 0


@pytest.mark.parametrize("decision", [{"success": "maybe"}, *({"weight": x} for x in (-1, math.nan, math.inf))])
def test_a_decision_that_is_none_is_refused(tmp_path: Path, decision: dict[str, object]) -> None:
    store = EpisodeStore(tmp_path)
    name = store.write(sample_episode())
    with pytest.raises(DataRefused, match=name):
        decide(store, "tube_insertion", {name: decision})
