"""From curves to labels, and what an audit does to them."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from model_samples import HUMAN, step_data

from episodes.errors import DataRefused
from models.labelling import LABEL_SCHEMA, apply_audit, label_id, mine_task, parse_label_id, trained_labels
from models.mining import mine_seed_rule, mine_three_rules
from models.stagnation import StagnationConfig, StagnationParams, mine_stagnation


def mined(*places: tuple[str, int, int]) -> pl.DataFrame:
    rows = [
        {"label_id": label_id(*p), "episode_id": p[0], "session": f"s-{p[0]}", "start": p[1], "stop": p[2]}
        | {"rule": "plateau", "terms": "{}"}
        for p in places
    ]
    return pl.DataFrame(rows, schema=LABEL_SCHEMA)


def audited(labels: pl.DataFrame, decisions: dict[str, dict[str, Any]]) -> list[tuple[Any, ...]]:
    table = apply_audit(labels, decisions, SESSIONS)
    assert list(table.columns) == [*LABEL_SCHEMA, "verdict", "origin"]
    return table.select("label_id", "start", "stop", "verdict", "origin").rows()


SESSIONS = {"a": "s-a", "b": "s-b", "c": "s-c"}
LABELS = mined(("a", 10, 20), ("a", 30, 40), ("b", 0, 5))


def test_without_a_freeze_all_are_unaudited() -> None:
    assert audited(LABELS, {}) == [
        ("a:10-20", 10, 20, "unaudited", "mined"),
        ("a:30-40", 30, 40, "unaudited", "mined"),
        ("b:0-5", 0, 5, "unaudited", "mined"),
    ]
    assert audited(mined(), {}) == []


def test_a_verdict_stands_on_its_interval() -> None:
    verdicts = {"a:10-20": {"verdict": "reject"}, "a:30-40": {"verdict": "unsure"}, "b:0-5": {"verdict": "accept"}}
    assert [row[3] for row in audited(LABELS, verdicts)] == ["reject", "unsure", "accept"]


def test_an_edit_moves_the_interval_and_keeps_its_name() -> None:
    edit = {"a:10-20": {"verdict": "accept", "start": 12, "stop": 25}}
    assert audited(LABELS, edit)[0] == ("a:10-20", 12, 25, "accept", "mined")


def test_a_created_interval_is_a_persons_even_where_one_was_mined_nearby() -> None:
    made = {"a:11-21": {"episode_id": "a", "start": 11, "stop": 21, "origin": "human", "verdict": "accept"}}
    rows = audited(LABELS, made)
    assert rows[0][3:] == ("unaudited", "mined")
    assert rows[-1] == ("a:11-21", 11, 21, "accept", "human")
    assert apply_audit(LABELS, made, SESSIONS)["session"].to_list()[-1] == "s-a"
    assert audited(LABELS, {"a:11-21": {**made["a:11-21"], "verdict": "reject"}}) == audited(LABELS, {})


def test_an_interval_created_where_nothing_was_mined_has_its_episodes_session() -> None:
    made = {"c:1-3": {"episode_id": "c", "start": 1, "stop": 3, "origin": "human", "verdict": "accept"}}
    (row,) = apply_audit(LABELS, made, SESSIONS).filter(pl.col("origin") == "human").to_dicts()
    assert (row["episode_id"], row["session"], row["start"], row["stop"]) == ("c", "s-c", 1, 3)


@pytest.mark.parametrize(
    ("old", "goes_to"),
    [
        ("a:10-22", "a:10-20"),  # 10 of 12
        ("a:15-20", "a:10-20"),  # 5 of 10: just the same
        ("a:16-20", None),
        ("a:8-42", None),  # over both, alike to none
        ("b:10-20", None),  # another episode
    ],
)
def test_a_verdict_on_what_is_mined_otherwise_now_goes_to_the_same_stall(old: str, goes_to: str | None) -> None:
    rows = {row[0]: row for row in audited(LABELS, {old: {"verdict": "accept"}})}
    if goes_to is None:
        assert rows[old][3:] == ("accept", "human")
        assert {row[3] for name, row in rows.items() if name != old} == {"unaudited"}
        assert len(audited(LABELS, {old: {"verdict": "reject"}})) == 3  # nothing left to reject
    else:
        assert old not in rows
        assert rows[goes_to][3] == "accept"


def test_a_decision_on_the_label_as_it_is_mined_now_ends_the_one_on_how_it_was() -> None:
    both = {"a:10-20": {"verdict": "reject"}, "a:10-22": {"verdict": "accept"}}
    rows = {row[0]: row[3] for row in audited(LABELS, both)}
    assert sorted(rows) == ["a:10-20", "a:30-40", "b:0-5"]
    assert rows["a:10-20"] == "reject"


def test_of_two_old_decisions_on_one_stall_one_stands() -> None:
    both = {"a:9-20": {"verdict": "accept"}, "a:10-21": {"verdict": "reject"}}
    rows = {row[0]: row[3] for row in audited(LABELS, both)}
    assert sorted(rows) == ["a:10-20", "a:30-40", "b:0-5"]
    assert rows["a:10-20"] == "reject"


def test_an_item_that_names_no_interval_says_nothing() -> None:
    assert len(audited(LABELS, {"a:abc": {"verdict": "accept"}})) == 3


def test_training_takes_a_rejected_interval_for_no_stall_and_leaves_an_unsure_one_out() -> None:
    verdicts = {"a:10-20": {"verdict": "reject"}, "a:30-40": {"verdict": "unsure"}}
    labels = trained_labels(apply_audit(LABELS, verdicts, SESSIONS), {"a": 45, "b": 4, "c": 3})
    assert not labels["a"][:30].any()
    assert np.isnan(labels["a"][30:40]).all()
    assert not labels["a"][40:].any()
    np.testing.assert_array_equal(labels["b"], np.ones(4))  # longer than the episode: to its end
    np.testing.assert_array_equal(labels["c"], np.zeros(3))


@given(st.text("0123456789abcdef", min_size=1), st.integers(0, 9999), st.integers(0, 9999))
def test_a_labels_name_says_where_it_is(episode_id: str, start: int, stop: int) -> None:
    assert parse_label_id(label_id(episode_id, start, stop)) == (episode_id, start, stop)


def test_mining_takes_the_pace_from_training_successes_alone_and_explains_itself() -> None:
    train = [step_data(n) for n in range(6)]
    stuck = step_data(6, success=False)
    others = [step_data(7, split="test"), step_data(8, collection="demo", source=np.full(24, HUMAN, np.uint8))]
    values = {e.episode_id: np.linspace(0, 1, len(e)) for e in [*train, *others]}
    values[stuck.episode_id] = np.minimum(np.linspace(0, 1, len(stuck)), 0.3)
    found = mine_task([*train, stuck, *others, step_data(9)], values)
    pace = [*train, others[1]]
    expected = StagnationParams.fit([values[e.episode_id] for e in pace], [len(e) / 10 for e in pace])
    assert found.params == expected
    assert found.labels["episode_id"].unique().to_list() == [stuck.episode_id]
    direct = mine_stagnation(values[stuck.episode_id], time_s=stuck.time_s, source=stuck.source, params=expected)
    row, segment = found.labels.row(0, named=True), direct.segments[0]
    assert (row["start"], row["stop"], row["rule"]) == (segment.start, segment.stop, segment.rule)
    assert json.loads(row["terms"]) == {"detected": segment.detected, **segment.terms}
    assert found.frames["episode_id"].n_unique() == 9  # the last one has no curve
    frames = found.frames.filter(pl.col("episode_id") == stuck.episode_id)
    np.testing.assert_array_equal(frames["stagnation"], direct.label)
    np.testing.assert_array_equal(frames["plateau"], mine_three_rules(values[stuck.episode_id]).plateau)
    np.testing.assert_array_equal(frames["seed_rule"], mine_seed_rule(values[stuck.episode_id]))
    assert frames["frame_index"].to_list() == list(range(len(stuck)))


def test_mining_follows_its_settings() -> None:
    train, stuck = [step_data(n) for n in range(6)], step_data(6, success=False)
    values = {e.episode_id: np.linspace(0, 1, len(e)) for e in train}
    values[stuck.episode_id] = np.minimum(np.linspace(0, 1, len(stuck)), 0.3)
    found = mine_task([*train, stuck], values, StagnationConfig(patience=2.0, drop=0.3))
    assert (found.params.patience, found.params.drop) == (2.0, 0.3)
    assert found.labels.is_empty()


def test_without_a_training_success_there_is_no_pace() -> None:
    with pytest.raises(DataRefused, match="no training success without help"):
        mine_task([step_data(0, success=False)], {step_data(0).episode_id: np.linspace(0, 1, 24)})
