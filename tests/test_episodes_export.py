"""Export: what goes out comes back, what does not is named, and a dataset is there whole or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from episode_samples import CAMERA, sample_episode, sample_frames
from export_samples import BRIDGE, DEMO, SEED, SPARSE, both, differing, export, stored, there_and_back
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from episodes.errors import DataRefused, UsageError
from episodes.formats import import_dataset
from episodes.formats.exporting import Leaving, export_dataset
from episodes.formats.registry import writers
from episodes.images import decode
from episodes.record import Array, Episode, Outcome
from episodes.store import EpisodeStore

HELD = tuple(name for name in writers() if name != "rerun")
"""what needs no extra"""


@pytest.mark.parametrize(
    "episode",
    [
        sample_episode(robot_stream={}),
        sample_episode(1, robot_stream={}, **DEMO),
        sample_episode(2, robot_stream={}, **SPARSE),
        sample_episode(3, robot_stream={}, success=Outcome.FAILURE, complete=False, events=()),
        sample_episode(4, robot_stream={}, success=Outcome.UNKNOWN, success_derivation="", images={}, cameras={}),
        sample_episode(5, robot_stream={}, action_source=np.array([0, 1, 2, 3, 255, 255], np.uint8)),
        sample_episode(6, robot_stream={}, time_s=np.array([0, 0.1, 0.25, 0.3, 0.7, 0.75]), instruction="dépôt 管"),
        sample_episode(8, robot_stream={}, human_action=np.full((6, 7), np.nan, np.float32)),
        sample_episode(7, length=1, robot_stream={}, action_source=np.zeros(1, np.uint8), policy_id=("p",)),
    ],
    ids=["takeover", "demo", "sparse", "failure", "unknown", "all sources", "uneven times", "no human", "one step"],
)
def test_lerobot_and_back_is_the_same_episode(tmp_path: Path, episode: Episode) -> None:
    ((before, after),) = there_and_back(tmp_path, "lerobot-v3", episode)
    assert differing(before, after) == set()


@pytest.mark.parametrize("changes", [{}, DEMO, SPARSE, {"success": Outcome.UNKNOWN, "reward": None}])
def test_robomimic_and_back_is_the_same_but_for_the_coding_of_pixels(tmp_path: Path, changes: dict[str, Any]) -> None:
    ((before, after),) = there_and_back(tmp_path, "robomimic", sample_episode(robot_stream={}, **changes))
    assert differing(before, after) == {"images"}
    for t in range(len(before)):
        pixels = [decode(e.images["wrist"].frame(t), e.images["wrist"].codec) for e in (before, after)]
        np.testing.assert_array_equal(*pixels)
    assert after.images["wrist"].codec == "png"


def test_seed_json_keeps_what_it_has_a_place_for(tmp_path: Path) -> None:
    ((before, after),) = there_and_back(tmp_path, "seed-json", sample_episode())
    kept = ("task", "instruction", "success", "fps", "collection", "images", "ee_pose", "executed_action")
    assert not differing(before, after) & {*kept, "time_s", "action_source"}
    assert (after.proprio, after.wrench, after.policy_action, after.human_action, after.reward) == (None,) * 5
    assert (after.end_reason, after.events, after.robot_stream) == ("unknown", (), {})


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_numbers_survive(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    floats = st.floats(allow_nan=False, allow_infinity=False, width=32)
    length = data.draw(st.integers(1, 4))
    rows = st.lists(st.lists(floats, min_size=2, max_size=2), min_size=length, max_size=length)
    sources = st.lists(st.sampled_from([0, 1, 2, 3, 255]), min_size=length, max_size=length)
    steps_s = data.draw(st.lists(st.floats(1e-3, 1e3), min_size=length - 1, max_size=length - 1))
    episode = Episode(
        task="t",
        instruction=data.draw(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=9)),
        session="s",
        fps=data.draw(st.floats(0.5, 500)),
        time_s=np.concatenate([[0.0], np.cumsum(steps_s)]),
        action_source=np.array(data.draw(sources), np.uint8),
        proprio=np.array(data.draw(rows), np.float32),
        executed_action=np.array(data.draw(rows), np.float32),
        reward=np.array(data.draw(rows), np.float32)[:, 0],
    )
    for format in ("lerobot-v3", "robomimic"):
        ((before, after),) = there_and_back(tmp_path_factory.mktemp(format), format, episode)
        assert differing(before, after) == set()


@pytest.mark.parametrize(("source", "format"), [(BRIDGE, "lerobot-v3"), (SEED, "seed-json"), (SEED, "lerobot-v3")])
def test_import_export_import_gives_the_same_ids(tmp_path: Path, source: Path, format: str) -> None:
    first = import_dataset(source, tmp_path / "a")
    assert export(EpisodeStore(tmp_path / "a"), tmp_path / "out", format).episodes == len(first.imported)
    second = import_dataset(tmp_path / "out", tmp_path / "a")
    assert (second.imported, sorted(second.duplicates)) == ((), sorted(first.imported))


def test_frames_of_two_cameras_and_codecs(tmp_path: Path) -> None:
    two = {"wrist": sample_frames(6), "third": sample_frames(6, 9)}
    ((before, after),) = there_and_back(tmp_path, "lerobot-v3", sample_episode(robot_stream={}, images=two, cameras={}))
    assert differing(before, after) == {"cameras"}
    assert {name: info.width_px for name, info in after.cameras.items()} == {"wrist": 24, "third": 24}


@pytest.mark.parametrize("format", HELD)
def test_what_is_there_already_is_left_alone(tmp_path: Path, format: str) -> None:
    store = stored(tmp_path / "a", sample_episode())
    (tmp_path / "out").write_text("mine")
    with pytest.raises(UsageError, match="is there already"):
        export(store, tmp_path / "out", format)
    assert (tmp_path / "out").read_text() == "mine"
    with pytest.raises(UsageError, match="is a file, so"):
        export(store, tmp_path / "out" / "deep" / "in", format)


@pytest.mark.parametrize("format", HELD)
def test_an_export_that_fails_half_way_leaves_nothing(tmp_path: Path, format: str) -> None:
    store = stored(tmp_path / "a", *(sample_episode(k) for k in range(3)))
    store.path(store.ids()[1]).write_bytes(b"torn")
    leaving = [Leaving(episode_id=e, success=Outcome.SUCCESS) for e in store.ids()]
    with pytest.raises(DataRefused):
        export_dataset(store, tmp_path / "out", leaving, format=format)
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


@pytest.mark.parametrize("format", HELD)
def test_the_name_appears_last_and_leftovers_of_a_killed_export_go(tmp_path: Path, format: str) -> None:
    store = stored(tmp_path / "a", sample_episode(images=both()), sample_episode(1, images=both()))
    (tmp_path / ".out.partial").mkdir()
    (tmp_path / ".out.partial/half").write_text("")
    seen: list[tuple[int, int, bool]] = []
    leaving = [Leaving(episode_id=episode_id) for episode_id in store.ids()]
    report = export_dataset(
        store,
        tmp_path / "out",
        leaving,
        format=format,
        progress=lambda done, total: seen.append((done, total, (tmp_path / "out").exists())),
    )
    assert seen == [(0, 2, False), (1, 2, False), (2, 2, False)]
    assert (report.episodes, report.steps) == (2, 12)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "out"]


NAMED_AS = {
    "images": ("cameras: ", "bytes of frames, whose pixels are kept: "),
    "cameras": ("cameras: ", "calibration of cameras"),
    "action_source": ("actors, ",),
    **dict.fromkeys(("time_s", "fps", "time_derivation"), ("times of the steps",)),
}
"""field -> what a loss of it is called, where that is not its name"""


@pytest.mark.parametrize(
    "changes",
    [
        {"source_time_defects": {"duplicate": 2}, "robot": "ur5e"},
        {"action_source": np.array([0, 1, 2, 3, 2, 0], np.uint8), "complete": False},
        {"action_source": np.array([0, 0, 2, 2, 255, 255], np.uint8), "time_derivation": "assumed rate"},
        {"time_s": np.array([0, 0.1, 0.25, 0.3, 0.7, 0.75]), "depth": {"wrist": sample_frames(6)}},
        {"images": both() | {"front": sample_frames(6, seed=4)}, "fps": 20.0},
    ],
    ids=["known", "actors", "unknown actor", "times", "cameras"],
)
@pytest.mark.parametrize("format", HELD)
def test_what_does_not_come_back_is_named(tmp_path: Path, format: str, changes: dict[str, Any]) -> None:
    images = changes.get("images", both())
    episode = sample_episode(**{"images": images, "cameras": dict.fromkeys(images, CAMERA), **changes})
    lost = export(stored(tmp_path / "c", episode), tmp_path / "c.out", format).lost
    how = {"allow_pickle": True, "mapping": {"cameras": {"external": "third"}}} if format == "uniintervene" else {}
    ((before, after),) = there_and_back(tmp_path, format, episode, **how)
    gone = differing(before, after)
    assert "robot_stream" in gone
    assert [
        name for name in gone if not any(word in line for word in NAMED_AS.get(name, (name,)) for line in lost)
    ] == []


def test_a_loss_is_a_line_a_class_and_says_of_how_many_episodes(tmp_path: Path) -> None:
    whole = sample_episode(1, robot_stream={}, fps=20.0)
    store = stored(tmp_path / "a", sample_episode(), whole)
    assert (
        export(store, tmp_path / "l.out", "seed-json", curves=lambda: {"value": np.zeros(6)}).lost[-1]
        == "curves: value"
    )
    told = export(store, tmp_path / "r", "robomimic").lost
    rate, other = (f"{store.attributes(name)['fps']:g} Hz" for name in store.ids())
    assert sorted(told) == [
        "arrays: robot_stream (1 of 2 episodes)",
        "bytes of frames, whose pixels are kept: wrist",
        f"rates for other programs, to whom the file says {rate}: {other} (1 of 2 episodes)",
    ]


def test_nothing_to_export_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no episode to export"):
        export(EpisodeStore(tmp_path / "a"), tmp_path / "out", "seed-json")


def test_json_has_no_nan(tmp_path: Path) -> None:
    actions: Array = np.zeros((6, 7), np.float32)
    actions[2] = np.nan
    with pytest.raises(DataRefused, match="steps without executed_action"):
        export(stored(tmp_path / "a", sample_episode(executed_action=actions)), tmp_path / "out", "seed-json")
