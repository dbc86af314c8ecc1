"""Asking the memory: never a held-out episode, never an unlike or a no better state."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from model_samples import episodes, flip, step_data

from episodes.errors import DataRefused, IntegrityError
from episodes.record import ActionSource
from models.memory import RecoveryMemory
from models.recall import (
    FILE,
    BuiltMemory,
    MemoryConfig,
    SituationEncoder,
    audit_pairs,
    build_memory,
    recall,
    rejected_items,
)
from models.recovery import HORIZON

DATA = list(episodes())
VALUES = {e.episode_id: np.linspace(0, 0.95, len(e)) for e in DATA}
BY_ID = {e.episode_id: e for e in DATA}
CONFIG = MemoryConfig(count=60)


@pytest.fixture(scope="module")
def built() -> BuiltMemory:
    return build_memory(DATA, VALUES, CONFIG)


def test_only_successes_of_the_training_split_are_remembered(built: BuiltMemory) -> None:
    allowed = {e.episode_id for e in DATA if e.split == "train" and e.success}
    remembered = {item.episode_id for item in built.memory.items}
    assert remembered
    assert remembered <= allowed
    assert any(e.split == "calibration" for e in DATA)
    assert "recovery targets" in built.report


def test_items_are_what_was_seen_and_done(built: BuiltMemory) -> None:
    by_id = {e.episode_id: e for e in DATA}
    for item in built.memory.items:
        episode = by_id[item.episode_id]
        np.testing.assert_array_equal(item.chunk, episode.executed_action[item.t : item.t + HORIZON])
        np.testing.assert_array_equal(item.key, built.encoder.encode(episode.proprio)[item.t])
        assert item.goal_value == VALUES[item.episode_id][item.goal_t] >= item.value + CONFIG.gain


def test_the_best_item_is_the_most_similar_that_is_better_than_now(built: BuiltMemory) -> None:
    item = built.memory.items[3]
    episode = next(e for e in DATA if e.episode_id == item.episode_id)
    found = recall(built.memory, built.encoder, episode.proprio[item.t], item.goal_value - CONFIG.margin, "insert")
    assert found is not None
    assert (found.item.item_id, found.similarity) == (item.item_id, pytest.approx(1.0))
    other = recall(built.memory, built.encoder, episode.proprio[item.t], 0.0, "insert", exclude_episode=item.episode_id)
    assert other is not None
    assert other.item.episode_id != item.episode_id


def test_a_goal_that_is_no_better_by_the_margin_is_none(built: BuiltMemory) -> None:
    best = max(item.goal_value for item in built.memory.items)
    proprio = DATA[5].proprio[3]
    assert recall(built.memory, built.encoder, proprio, best - CONFIG.margin - 1e-6, "insert") is not None
    assert recall(built.memory, built.encoder, proprio, best - CONFIG.margin + 1e-6, "insert") is None


def test_what_is_like_nothing_finds_nothing(built: BuiltMemory) -> None:
    strange = DATA[5].proprio[3] * np.array([1, -50, -50, -50], np.float32)
    assert built.encoder.floor > -1
    assert recall(built.memory, built.encoder, strange, 0.0, "insert") is None
    blind = replace(built.encoder, floor=-1.0)
    assert recall(built.memory, blind, strange, 0.0, "insert") is not None
    assert recall(built.memory, blind, strange, 0.0, "another_task") is None


def test_the_floor_is_what_a_low_share_of_keys_finds_elsewhere(built: BuiltMemory) -> None:
    keys = np.stack([i.key / np.linalg.norm(i.key) for i in built.memory.items]).astype(float)
    owner = np.array([i.episode_id for i in built.memory.items])
    similarity = np.where(owner[:, None] == owner, -2, keys @ keys.T)
    assert built.encoder.floor == pytest.approx(np.quantile(similarity.max(axis=1), 0.02), abs=1e-5)


def test_a_memory_of_one_episode_knows_no_floor() -> None:
    assert build_memory(DATA[:1], VALUES, CONFIG).encoder.floor == -1.0


def test_an_item_that_a_person_rejected_never_comes_back(built: BuiltMemory) -> None:
    bad = built.memory.items[3]
    episode = next(e for e in DATA if e.episode_id == bad.episode_id)
    again = build_memory(DATA, VALUES, CONFIG, removed=[bad.item_id])
    found = recall(again.memory, again.encoder, episode.proprio[bad.t], bad.goal_value - CONFIG.margin, "insert")
    assert found is None or found.item.item_id != bad.item_id


def test_stalls_are_shown_with_what_others_did_and_never_from_the_test_split(built: BuiltMemory) -> None:
    rows = [
        (DATA[18].episode_id, 5, 10, "unaudited"),
        (DATA[19].episode_id, 5, 10, "reject"),
        (DATA[4].episode_id, 0, 4, "accept"),
        (DATA[28].episode_id, 5, 10, "accept"),
        ("f" * 16, 5, 10, "accept"),
        (DATA[20].episode_id, 5, 10_000, "accept"),
    ]
    audited = pl.DataFrame(rows, schema=["episode_id", "start", "stop", "verdict"], orient="row")
    low = {name: curve * 0 + 0.1 if name == DATA[20].episode_id else curve for name, curve in VALUES.items()}
    pairs = audit_pairs(built, DATA, low, audited)
    shown = dict(zip(pairs["query_episode"], pairs["query_t"], strict=True))
    assert set(shown) <= {DATA[18].episode_id, DATA[4].episode_id, DATA[20].episode_id}
    assert shown[DATA[18].episode_id] == 9
    assert DATA[28].split == "test"
    assert (pairs["query_episode"] != pairs["goal_episode"]).all()
    assert (pairs["goal_value"] >= pairs["query_value"] + CONFIG.margin).all()
    first = pairs.row(0, named=True)
    assert first["pair_id"] == (
        f"{first['query_episode']}:{first['query_t']}>{first['goal_episode']}:{first['goal_t']}"
    )


def test_verdicts_on_pairs_name_items() -> None:
    pairs = pl.DataFrame({"pair_id": ["a", "b", "c", "d"], "item_id": ["1", "2", "1", "3"]})
    verdicts = {
        "a": {"verdict": "unsafe"},
        "b": {"verdict": "valid"},
        "c": {"verdict": "valid"},
        "x": {"verdict": "unsafe"},
    }
    assert rejected_items(pairs, verdicts) == ["1"]


def test_the_encoder_comes_back_equal_and_a_flipped_bit_is_refused(built: BuiltMemory, tmp_path: Path) -> None:
    built.encoder.save(tmp_path)
    built.memory.save(tmp_path)
    encoder = SituationEncoder.load(tmp_path)
    assert encoder == built.encoder
    assert len(RecoveryMemory.load(tmp_path, encoder.encoder_id)) == len(built.memory)
    flip(tmp_path / FILE, 77)
    with pytest.raises(IntegrityError, match=r"encoder\.json"):
        SituationEncoder.load(tmp_path)


def test_the_encoders_id_is_that_of_columns_and_constants(built: BuiltMemory) -> None:
    encoder = built.encoder
    assert replace(encoder, floor=0.5, margin=0.5).encoder_id == encoder.encoder_id
    assert replace(encoder, mean=(0.0, *encoder.mean[1:])).encoder_id != encoder.encoder_id
    keys = encoder.encode(np.concatenate([e.proprio for e in DATA if e.split == "train" and e.success]))
    np.testing.assert_allclose(keys.mean(axis=0), 0, atol=0.1)
    assert np.abs(keys).max() <= 4


def test_without_a_training_success_there_is_nothing_to_remember() -> None:
    with pytest.raises(DataRefused, match="no successful training episode"):
        build_memory([e for e in DATA if e.split == "test"], VALUES, CONFIG)
    with pytest.raises(DataRefused, match="no successful training episode"):
        build_memory(DATA, {}, CONFIG)
    extra = step_data(50, fps=20.0)
    with pytest.raises(DataRefused, match="other steps a second"):
        build_memory([*DATA, extra], VALUES | {extra.episode_id: np.linspace(0, 1, len(extra))}, CONFIG)


def test_a_memory_of_people_alone_holds_what_they_did_and_knows_every_state() -> None:
    by_id = {e.episode_id: e for e in DATA}
    people = build_memory(DATA, VALUES, replace(CONFIG, human_only=True, floor_quantile=None))
    assert people.memory.items
    for item in people.memory.items:
        assert (by_id[item.episode_id].source[item.t : item.goal_t + 1] == ActionSource.HUMAN).all()
    assert people.encoder.floor == -1.0


def test_each_refusal_is_named() -> None:
    strict = build_memory(DATA, VALUES, replace(CONFIG, gain=0.5, end_value=0.9))
    assert {"gain below 0.5", "goal worth less than 0.9", "episode of the split test"} <= set(strict.refused)
    near = build_memory(DATA, VALUES, replace(CONFIG, max_distance_m=0.045))
    assert near.refused["goal further than 0.045 m away"] > 0
    assert all(
        np.linalg.norm(BY_ID[i.episode_id].ee_pose[i.goal_t, :3] - BY_ID[i.episode_id].ee_pose[i.t, :3]) <= 0.045
        for i in near.memory.items
    )
    assert "taken out by people" in build_memory(DATA, VALUES, CONFIG, removed=["x"]).refused


def test_a_gripper_that_closes_on_the_way_is_refused_where_that_is_asked() -> None:
    names = ("tool/x", "depth", "gripper/opening", "priv/dx")
    closing = [
        replace(
            e, proprio_names=names, proprio=np.where(np.arange(4) == 2, (np.arange(len(e)) < 12)[:, None], e.proprio)
        )
        for e in DATA
    ]
    plain, strict = (build_memory(closing, VALUES, replace(CONFIG, same_gripper=asked)) for asked in (False, True))
    assert strict.refused["gripper opens or closes on the way"] > 0
    assert any(i.t < 12 <= i.goal_t for i in plain.memory.items)
    assert not any(i.t < 12 <= i.goal_t for i in strict.memory.items)


def test_an_adaptive_memory_asks_for_less_and_says_so() -> None:
    asked = replace(CONFIG, gain=1.5, end_value=0.9)
    short, full = (build_memory(DATA, VALUES, replace(asked, adaptive=adaptive)) for adaptive in (False, True))
    assert len(short.memory) == 0
    assert "lower the gain" in short.report
    assert len(full.memory) > 0
    assert "0.35 of the gain" in full.report or "0.5 of the gain" in full.report or "0.25 of the gain" in full.report


def test_what_worked_in_a_failure_is_remembered_where_it_is_asked_for() -> None:
    success, failure = DATA[5], step_data(40, success=False)
    helped = failure.source.copy()
    helped[8:20] = ActionSource.RECOVERY
    failure = replace(failure, source=helped)
    rising, late = np.linspace(0, 0.95, len(failure)), np.full(len(failure), 0.3)
    late[21:] = 0.9
    values = {success.episode_id: VALUES[success.episode_id], failure.episode_id: rising}
    config = MemoryConfig(gain=0.05, span_s=1.5)
    for rescues, curve, remembered in ((True, rising, True), (False, rising, False), (True, late, False)):
        asked = replace(config, rescues=rescues)
        made = build_memory([success, failure], values | {failure.episode_id: curve}, asked)
        own = [item for item in made.memory.items if item.episode_id == failure.episode_id]
        assert bool(own) is remembered
        assert all(8 <= item.t < item.goal_t < 20 for item in own)
        assert ("episode that failed" in made.refused) is not remembered
