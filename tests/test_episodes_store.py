"""The store: what goes in comes out, nothing half-written, nothing changed, nothing outside the workspace."""

from __future__ import annotations

import os
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from episode_samples import CAMERA, sample_episode, sample_frame

from episodes import layout
from episodes.errors import DataRefused, UsageError
from episodes.identity import episode_id, group_id
from episodes.record import EncodedFrames, Episode
from episodes.store import EpisodeStore


def files_of(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file() and path.name[0] != ".")


def test_every_field_comes_back(tmp_path: Path) -> None:
    episode = sample_episode()
    found = EpisodeStore(tmp_path).read(EpisodeStore(tmp_path).write(episode))
    for field in fields(Episode):
        want, got = getattr(episode, field.name), getattr(found, field.name)
        if isinstance(want, np.ndarray):
            np.testing.assert_array_equal(want, got, err_msg=field.name)
            assert want.dtype == got.dtype, field.name
        elif field.name in ("images", "robot_stream"):
            assert sorted(want) == list(got)
        else:
            assert got == want, field.name
    for name, array in episode.robot_stream.items():
        np.testing.assert_array_equal(found.robot_stream[name], array)
    assert found.images["wrist"].data.tobytes() == episode.images["wrist"].data.tobytes()


def test_only_time_and_source_are_required_and_nothing_is_filled_in(tmp_path: Path) -> None:
    bare = Episode(task="t", instruction="", session="s", time_s=np.zeros(1), action_source=np.array([255], np.uint8))
    found = EpisodeStore(tmp_path).read(EpisodeStore(tmp_path).write(bare))
    absent = (
        "ee_pose",
        "proprio",
        "wrench",
        "policy_action",
        "human_action",
        "executed_action",
        "raw_action",
        "reward",
    )
    assert [getattr(found, name) for name in absent] == [None] * len(absent)
    assert found.policy_id is None
    assert (found.images, found.robot_stream, found.events, found.cameras) == ({}, {}, (), {})


def test_the_same_recording_is_one_episode(tmp_path: Path) -> None:
    store = EpisodeStore(tmp_path)
    first = store.write(sample_episode())
    before = store.path(first).stat().st_mtime_ns
    again = sample_episode(session="tuesday", recorded_at="", success_derivation="other", source_uri="copy")
    assert store.contains(episode_id(again))
    assert store.write(again) == first
    assert files_of(tmp_path / "episodes") == [f"monday/{first}.h5"]
    assert store.path(first).stat().st_mtime_ns == before


@pytest.mark.parametrize(
    "change",
    [
        {"task": "other"},
        {"instruction": "other"},
        {"reward": None},
        {"reward": np.ones(6, np.float32)},
        {"policy_id": ("x",) * 6},
        {"time_s": np.arange(6) / 5},
        {"images": {}},
        {"robot_stream": {}},
    ],
)
def test_another_content_is_another_episode(change: dict[str, object]) -> None:
    assert episode_id(sample_episode(**change)) != episode_id(sample_episode())


def test_group_id_is_the_trajectory_alone() -> None:
    one = sample_episode()
    other = sample_episode(task="x", instruction="", images={}, time_s=np.arange(6) * 1.0)
    assert group_id(one) == group_id(other)
    assert group_id(one) != group_id(replace(one, proprio=one.proprio + 1))
    bare = replace(one, proprio=None, executed_action=None)
    assert group_id(bare) == episode_id(bare)


def test_ids_sessions_and_tasks(tmp_path: Path) -> None:
    store = EpisodeStore(tmp_path)
    assert (store.ids(), store.sessions(), store.tasks()) == ([], [], [])
    tube = sorted(store.write(sample_episode(seed)) for seed in range(3))
    ram = store.write(sample_episode(9, task="ram", session="friday"))
    (tmp_path / "episodes" / "monday" / "0123456789abcdef.h5.tmp").write_bytes(b"torn")
    (tmp_path / "episodes" / "empty").mkdir()
    other = EpisodeStore(tmp_path)
    assert other.ids() == sorted([*tube, ram])
    assert other.ids(session="monday") == tube == other.ids(task="tube_insertion")
    assert other.ids(session="monday", task="ram") == []
    assert other.sessions() == ["friday", "monday"]
    assert other.sessions("ram") == ["friday"]
    assert other.tasks() == ["ram", "tube_insertion"]


def test_attributes_read_no_arrays_but_say_length_and_duration(tmp_path: Path) -> None:
    store = EpisodeStore(tmp_path)
    found = store.attributes(store.write(sample_episode()))
    assert (found["length"], found["duration_s"]) == (6, 0.5)
    assert (found["success"], found["collection"], found["complete"]) == ("success", "takeover", True)
    assert found["group_id"] == group_id(sample_episode())
    assert found["cameras"]["wrist"]["intrinsics"] == CAMERA.intrinsics


def test_frames_are_read_one_by_one(tmp_path: Path) -> None:
    store = EpisodeStore(tmp_path)
    name = store.write(sample_episode())
    data, codec = store.encoded(name, "wrist", 4)
    assert (data, codec) == (sample_episode().images["wrist"].frame(4), "jpeg")
    frame = store.frame(name, "wrist", 4)
    assert frame.shape == (16, 24, 3)
    assert np.abs(frame.astype(int) - sample_frame(4)).mean() < 8
    assert store.read(name, images=False).images == {}
    with pytest.raises(DataRefused, match="no camera 'third'; it has wrist"):
        store.frame(name, "third", 0)
    for step in (-1, 6):
        with pytest.raises(DataRefused, match="steps 0 to 5"):
            store.frame(name, "wrist", step)


def test_rows_are_read_without_the_rest(tmp_path: Path) -> None:
    store, episode = EpisodeStore(tmp_path), sample_episode()
    name = store.write(episode)
    given = layout.given(episode)
    for key, array in given.items():
        np.testing.assert_array_equal(store.rows(name, key, 1, 4), array[1:4])
        assert store.rows(name, key, 0, 6).shape == array.shape
    for start, stop in ((-1, 2), (3, 3), (4, 7)):
        with pytest.raises(DataRefused, match="has no steps"):
            store.rows(name, "wrench", start, stop)
    with pytest.raises(DataRefused, match="has no 'torque'"):
        store.rows(name, "torque", 0, 1)
    os.truncate(store.path(name), 4096)
    with pytest.raises(DataRefused, match="is cut off"):
        store.rows(name, "wrench", 0, 6)


def test_a_session_holds_one_task(tmp_path: Path) -> None:
    store = EpisodeStore(tmp_path)
    store.write(sample_episode())
    with pytest.raises(DataRefused, match="session monday holds task tube_insertion"):
        store.write(sample_episode(task="ram"))


def test_a_session_has_one_writer(tmp_path: Path) -> None:
    first, second = EpisodeStore(tmp_path), EpisodeStore(tmp_path)
    with first.writing("monday"):
        first.write(sample_episode(1))
        with pytest.raises(DataRefused, match="is being written by process"):
            second.write(sample_episode(2))
        second.write(sample_episode(2, session="tuesday"))
    second.write(sample_episode(3))
    assert len(first.ids()) == 3


@pytest.mark.parametrize("name", ["../out", "/etc", "A", "."])
def test_names_cannot_leave_the_workspace(tmp_path: Path, name: str) -> None:
    store = EpisodeStore(tmp_path / "w")
    for change in ({"session": name}, {"task": name}):
        with pytest.raises(UsageError, match="is not a name"):
            store.write(sample_episode(**change))
    with pytest.raises(DataRefused, match="is not a name"):
        store.write(sample_episode(images={name: sample_episode().images["wrist"]}))
    with pytest.raises(UsageError, match="is not an episode id"):
        store.read(name)
    with pytest.raises(UsageError, match="is not a name"):
        store.ids(session=name)
    assert files_of(tmp_path) == []


def test_a_discarded_episode_is_kept_aside(tmp_path: Path) -> None:
    store = EpisodeStore(tmp_path)
    name = store.write(sample_episode())
    store.frame(name, "wrist", 0)
    kept = store.discard(name)
    assert kept == tmp_path / "discarded" / "monday" / f"{name}.h5"
    assert kept.is_file()
    assert store.ids() == []
    for lost in (lambda: store.read(name), lambda: store.frame(name, "wrist", 0), lambda: store.attributes(name)):
        with pytest.raises(DataRefused, match="there is no episode"):
            lost()


def test_a_copied_workspace_works(tmp_path: Path) -> None:
    name = EpisodeStore(tmp_path / "a").write(sample_episode())
    (tmp_path / "a").rename(tmp_path / "b")
    store = EpisodeStore(tmp_path / "b")
    store.verify(name)
    for path in store.workspace.root.rglob("*"):
        assert not path.is_file() or str(tmp_path).encode() not in path.read_bytes()


def test_what_cannot_be_stored_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    frames = sample_episode().images["wrist"]
    bad = [
        {"time_s": np.array([0, 1, 1, 2, 3, 4.0])},
        {"time_s": np.array([0, np.nan, 1, 2, 3, 4.0])},
        {"proprio": np.zeros((5, 8), np.float32)},
        {"ee_pose": np.zeros((6, 6))},
        {"executed_action": np.zeros((6, 0), np.float32)},
        {"executed_action": np.full((6, 7), "left")},
        {"time_s": np.array(list("012345"))},
        {"action_source": np.full(6, 7, np.uint8)},
        {"policy_id": ("a",)},
        {"robot_stream": {"t": np.array(["x"])}},
        {"images": {"wrist": EncodedFrames(frames.data[:-1], frames.offsets, "jpeg", 16, 24)}},
        {"images": {"wrist": EncodedFrames(frames.data, frames.offsets[:-1], "jpeg", 16, 24)}},
    ]
    store = EpisodeStore(tmp_path)
    with pytest.raises(DataRefused, match="collected_by is"):
        store.write(sample_episode(collected_by={"note": "x" * 70_000}))
    for change in bad:
        with pytest.raises(DataRefused, match="it is not stored"):
            store.write(sample_episode(**change))
    assert files_of(tmp_path) == []
