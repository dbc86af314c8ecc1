"""Episodes as models see them: what is refused at the door, and whose word an outcome is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from episode_samples import sample_episode, sample_frame
from model_samples import HOLD, HUMAN, frames, step_data
from synthetic import make_episode

from episodes.decided import decide
from episodes.errors import DataRefused
from episodes.record import Episode
from episodes.store import EpisodeStore
from models.dataset import check_alike, load_decided, load_step_data, resized


def load(root: Path, episode: Episode) -> object:
    store = EpisodeStore(root)
    return load_step_data(store, store.write(episode), success=True, split="train")


def test_an_episode_is_read_as_recorded(tmp_path: Path) -> None:
    recorded = sample_episode(3)
    store = EpisodeStore(tmp_path)
    data = load_step_data(store, store.write(recorded), success=None, split="test", group_id="g", weight=0.5)
    assert (data.success, data.split, data.group_id, data.weight) == (None, "test", "g", 0.5)
    assert (data.task, data.session, data.policy_id, data.fps) == ("tube_insertion", "monday", "bc@1234", 10.0)
    np.testing.assert_array_equal(data.proprio, recorded.proprio)
    np.testing.assert_array_equal(data.executed_action, recorded.executed_action)
    np.testing.assert_array_equal(data.wrench, recorded.wrench)
    assert not data.unaided
    assert not data.policy_alone


def test_without_a_sensor_the_wrench_is_zero_and_without_a_person_their_action_is_unknown(tmp_path: Path) -> None:
    data = load(tmp_path, sample_episode(wrench=None, human_action=None))
    assert not data.wrench.any()  # type: ignore[attr-defined]
    assert np.isnan(data.human_action).all()  # type: ignore[attr-defined]


@pytest.mark.parametrize("key", ["proprio", "ee_pose", "executed_action"])
def test_what_the_models_cannot_do_without_is_named(tmp_path: Path, key: str) -> None:
    with pytest.raises(DataRefused, match=key.partition("_")[0]):
        load(tmp_path, sample_episode(**{key: None}))


@pytest.mark.parametrize("key", ["proprio", "wrench"])
def test_numbers_that_are_none_are_refused(tmp_path: Path, key: str) -> None:
    whole = sample_episode()
    with pytest.raises(DataRefused, match=f"NaN or infinite values in observation/{key}; exclude it"):
        load(tmp_path, replace(whole, **{key: np.full_like(getattr(whole, key), np.nan)}))


def test_an_episode_without_a_rate_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataRefused, match="does not say its rate"):
        load(tmp_path, sample_episode(fps=0.0))


def test_outcome_and_exclusion_are_those_that_were_decided(tmp_path: Path) -> None:
    store = EpisodeStore(tmp_path)
    ids = sorted(store.write(make_episode(seed, success=True)) for seed in range(4))
    decisions = {
        ids[0]: {"excluded": True},
        ids[1]: {"success": "failure", "weight": 2.0},
        ids[2]: {"success": "unknown"},
    }
    split = pl.DataFrame({"episode_id": ids[:3], "group_id": ["a", "b", "c"], "split": ["train", "test", "train"]})
    loaded = load_decided(store, decide(store, "insert", decisions), split)
    told = [(e.episode_id, e.success, e.split, e.group_id, e.weight) for e in loaded]
    assert told == [(ids[1], False, "test", "b", 2.0), (ids[2], None, "train", "c", 1.0)]  # ids[3] has no split yet


def test_frames_come_by_step_and_camera_at_the_networks_size() -> None:
    data = step_data(0, frames={"third": frames(24), "wrist": frames(24, seed=50)})
    images = data.images([3, 0], ("wrist", "third"), 16)
    assert images.shape == (2, 2, 16, 16, 3)
    expected = resized(sample_frame(50 + 3), 16).astype(int)
    assert np.abs(images[0, 0].astype(int) - expected).mean() < 4
    assert data.images([1, 2], (), 16).shape == (2, 0, 16, 16, 3)
    with pytest.raises(DataRefused, match="no camera top"):
        data.images([0], ("top",), 16)


def test_frames_stay_in_the_file_until_they_are_asked_for(tmp_path: Path) -> None:
    store, recorded = EpisodeStore(tmp_path), sample_episode(0, 6)
    name = store.write(recorded)
    data = load_step_data(store, name, success=True, split="train")
    assert {camera: packed.frame(2) for camera, packed in data.frames.items()} == {
        camera: packed.frame(2) for camera, packed in recorded.images.items()
    }
    store.path(name).unlink()
    with pytest.raises(DataRefused, match=f"no episode {name} any more"):
        data.images([2], ["wrist"], 16)


def test_a_frame_of_the_right_size_is_not_touched() -> None:
    frame = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    assert resized(frame, 2) is frame


def test_who_was_helped() -> None:
    alone, demo = step_data(1), step_data(1, collection="demo")
    held = step_data(1, source=np.array([0] * 24 + [HOLD], np.uint8))
    assert (alone.unaided, alone.policy_alone) == (True, True)
    assert (demo.unaided, demo.policy_alone) == (True, False)
    assert (held.unaided, held.policy_alone) == (False, False)
    assert int(demo.source[0]) == HUMAN


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"proprio_names": ("a", "b", "c", "d")}, "proprio columns"),
        ({"executed_action": np.zeros((25, 3), np.float32)}, "action values"),
        ({"fps": 20.0}, "steps a second"),
    ],
)
def test_episodes_of_another_robot_are_refused(changes: dict[str, object], named: str) -> None:
    check_alike([step_data(0), step_data(1)])
    with pytest.raises(DataRefused, match=f"{1:016x} of insert has other .*{named}"):
        check_alike([step_data(0), step_data(1, **changes)])


def test_a_run_ends_where_the_actor_changes_and_where_the_recording_pauses() -> None:
    source = np.array([0, 0, 0, 0, 2, 2], np.uint8)
    time_s = np.array([0.0, 0.1, 5.0, 5.1, 5.2, 5.3])
    assert step_data(0, success=True, source=source, time_s=time_s, collection="takeover").runs == [
        (0, 2),
        (2, 4),
        (4, 6),
    ]
