"""Export: what goes out comes back, what does not is named, and a dataset is there whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow.parquet as pq
import pytest
from episode_samples import sample_episode, sample_frame, sample_frames
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from episodes.errors import DataRefused, UsageError
from episodes.formats import import_dataset
from episodes.formats.exporting import ExportReport, Leaving, export_dataset
from episodes.formats.registry import writers
from episodes.images import decode
from episodes.record import Array, EncodedFrames, Episode, Outcome
from episodes.store import EpisodeStore

HELD = tuple(name for name in writers() if name != "rerun")
"""what needs no extra"""
NOT_OF_THE_DATA = {"session", "source_format", "source_uri", "source_sha256"}
"""an import says its own"""
BRIDGE = Path(__file__).parent / "data" / "lerobot_v30_bridge"
SEED = Path(__file__).parent / "data" / "seed_json"


def stored(root: Path, *episodes: Episode) -> EpisodeStore:
    store = EpisodeStore(root)
    for episode in episodes:
        store.write(episode)
    return store


def export(store: EpisodeStore, destination: Path, format: str, **known: Any) -> ExportReport:
    leaving = [Leaving(episode_id=episode_id, **known) for episode_id in store.ids()]
    return export_dataset(store, destination, leaving, format=format)


def there_and_back(tmp_path: Path, format: str, *episodes: Episode) -> list[tuple[Episode, Episode]]:
    """(before, after) of each episode, in the order of their ids."""
    store = stored(tmp_path / "a", *episodes)
    out = tmp_path / ("out.hdf5" if format == "robomimic" else "out")
    export(store, out, format)
    report = import_dataset(out, tmp_path / "b")
    assert report.quarantined == ()
    back = EpisodeStore(tmp_path / "b")
    ids = [*report.imported, *report.duplicates]
    return [(store.read(before), back.read(after)) for before, after in zip(store.ids(), ids, strict=True)]


def both() -> dict[str, EncodedFrames]:
    """Frames of the two cameras that UniIntervene knows."""
    return {"wrist": sample_frames(6), "third": sample_frames(6, seed=9)}


def differing(before: Episode, after: Episode) -> set[str]:
    """The fields that are not the same, bit by bit."""
    names = {field.name for field in fields(Episode)} - NOT_OF_THE_DATA
    return {name for name in names if not same(getattr(before, name), getattr(after, name))}


def same(one: Any, two: Any) -> bool:
    if isinstance(one, np.ndarray) and isinstance(two, np.ndarray):
        return one.dtype == two.dtype and one.shape == two.shape and one.tobytes() == two.tobytes()
    if isinstance(one, Mapping) and isinstance(two, Mapping):
        return one.keys() == two.keys() and all(same(one[key], two[key]) for key in one)
    if one is None or two is None:
        return one is two
    if hasattr(one, "offsets") and hasattr(two, "offsets"):
        return one.codec == two.codec and same(one.data, two.data) and same(one.offsets, two.offsets)
    return bool(one == two)


# --- identity --------------------------------------------------------------------------------------------------------

DEMO = {"collection": "demo", "policy_action": None, "policy_id": None, "action_source": np.full(6, 2, np.uint8)}
SPARSE = {"proprio": None, "wrench": None, "ee_pose": None, "human_action": None, "raw_action": None, "reward": None}


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


# --- LeRobot ---------------------------------------------------------------------------------------------------------


def test_lerobot_has_the_layout_of_the_official_writer(tmp_path: Path) -> None:
    import_dataset(BRIDGE, tmp_path / "a")
    export(EpisodeStore(tmp_path / "a"), tmp_path / "out", "lerobot-v3")
    theirs, ours = (json.loads((root / "meta/info.json").read_text()) for root in (BRIDGE, tmp_path / "out"))
    assert theirs.keys() == ours.keys()
    same_values = set(theirs) - {"features", "video_path"}
    assert {key: ours[key] for key in same_values} == {key: theirs[key] for key in same_values}
    for key, feature in theirs["features"].items():
        if feature["dtype"] != "video":
            assert ours["features"][key] == feature
    for file in ("data/chunk-000/file-000.parquet", "meta/episodes/chunk-000/file-000.parquet", "meta/tasks.parquet"):
        schemas = [pq.read_schema(root / file) for root in (BRIDGE, tmp_path / "out")]
        missing = {name for name in schemas[0].names if name not in schemas[1].names}
        assert {name for name in missing if not name.startswith(("videos/", "stats/"))} == set()
        if file.startswith("data"):
            assert [schemas[0].field(n).type for n in schemas[0].names] == [
                schemas[1].field(n).type for n in schemas[0].names
            ]


def test_statistics_are_those_of_the_official_writer(tmp_path: Path) -> None:
    import_dataset(BRIDGE, tmp_path / "a")
    export(EpisodeStore(tmp_path / "a"), tmp_path / "out", "lerobot-v3")
    theirs, ours = (json.loads((root / "meta/stats.json").read_text()) for root in (BRIDGE, tmp_path / "out"))
    for key in ("observation.state", "action", "timestamp"):
        for name in ("min", "max", "mean", "std", "count"):
            np.testing.assert_allclose(ours[key][name], theirs[key][name], rtol=1e-5, atol=1e-6)
    for name in ("min", "max", "mean", "std"):
        assert np.shape(ours["observation.images.image_0"][name]) == (3, 1, 1)


def test_curves_and_interventions_are_columns(tmp_path: Path) -> None:
    store = stored(tmp_path / "a", sample_episode(), sample_episode(1))
    curves = {"value": np.linspace(0, 1, 6), "trigger": np.array([0, 0, 0, 1, 0, 0], bool)}
    judged, other = store.ids()
    leaving = [Leaving(episode_id=judged, curves=lambda: curves), Leaving(episode_id=other)]
    export_dataset(store, tmp_path / "out", leaving, format="lerobot-v3")
    table = pq.read_table(tmp_path / "out/data/chunk-000/file-000.parquet")
    np.testing.assert_allclose(table["complementary_info.value"].to_numpy(), [*np.linspace(0, 1, 6), *[np.nan] * 6])
    assert table["complementary_info.trigger"].to_pylist()[:6] == [0, 0, 0, 1, 0, 0]
    assert "complementary_info.risk" not in table.column_names
    assert table["complementary_info.is_intervention"].to_pylist()[:6] == [0, 0, 0, 0, 1, 1]
    assert table["next.success"].to_pylist()[:6] == [False] * 5 + [True]
    report = import_dataset(tmp_path / "out", tmp_path / "b")
    assert "not kept: columns complementary_info.trigger, complementary_info.value" in report.warnings


def test_episodes_of_several_kinds_share_a_dataset(tmp_path: Path) -> None:
    """A demonstration has no policy action; beside a takeover it gets NaN rows, and comes back without."""
    episodes = sample_episode(robot_stream={}), sample_episode(1, robot_stream={}, **DEMO)
    for before, after in there_and_back(tmp_path, "lerobot-v3", *episodes):
        assert differing(before, after) == set()


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"proprio": np.zeros((6, 3), np.float32)}, "observation.state is of shape"),
        ({"executed_action": None}, "action is absent in episode"),
        ({"images": {}}, "observation.images.wrist is"),
        ({"fps": 20.0}, "steps a second"),
    ],
)
def test_lerobot_refuses_what_one_dataset_cannot_hold(tmp_path: Path, changes: dict[str, Any], told: str) -> None:
    store = stored(tmp_path / "a", sample_episode(), sample_episode(1, **changes))
    with pytest.raises(DataRefused, match="--task or --session") as refused:
        export(store, tmp_path / "out", "lerobot-v3")
    assert told.split(" is")[0] in str(refused.value)
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_splits_are_ranges_of_episodes(tmp_path: Path) -> None:
    store = stored(tmp_path / "a", *(sample_episode(k) for k in range(3)))
    leaving = [Leaving(episode_id=e, split=s) for e, s in zip(store.ids(), ("train", "train", "test"), strict=True)]
    export_dataset(store, tmp_path / "out", leaving, format="lerobot-v3")
    assert json.loads((tmp_path / "out/meta/info.json").read_text())["splits"] == {"train": "0:2", "test": "2:3"}


def test_a_large_dataset_has_many_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("episodes.formats.lerobot.export.FILE_BYTES", 1)
    monkeypatch.setattr("episodes.formats.lerobot.export.FILES_A_CHUNK", 2)
    pairs = there_and_back(tmp_path, "lerobot-v3", *(sample_episode(k, robot_stream={}) for k in range(3)))
    assert all(differing(*pair) == set() for pair in pairs)
    assert len(list((tmp_path / "out/data").rglob("*.parquet"))) == 3
    assert (tmp_path / "out/data/chunk-001/file-000.parquet").is_file()


def test_a_cut_episode_does_not_get_the_note_of_the_whole(tmp_path: Path) -> None:
    export(stored(tmp_path / "a", sample_episode()), tmp_path / "out", "lerobot-v3")
    for file in ("data/chunk-000/file-000.parquet", "meta/episodes/chunk-000/file-000.parquet"):
        table = pq.read_table(tmp_path / "out" / file)
        cut = table.slice(0, 4) if file.startswith("data") else table.set_column(2, "length", [[4]])
        pq.write_table(cut, tmp_path / "out" / file)
    report = import_dataset(tmp_path / "out", tmp_path / "b")
    assert any("of another length" in warning for warning in report.warnings)
    after = EpisodeStore(tmp_path / "b").read(report.imported[0])
    assert (len(after), after.events, after.task) == (4, (), "out")


# --- the destination -------------------------------------------------------------------------------------------------


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


def test_what_is_lost_is_named(tmp_path: Path) -> None:
    store = stored(tmp_path / "a", sample_episode())
    assert export(store, tmp_path / "l", "lerobot-v3").lost == ("robot_stream",)
    assert export(store, tmp_path / "r", "robomimic").lost == ("robot_stream",)
    lost = ("proprio", "wrench", "policy_action", "human_action", "raw_action", "policy_id", "reward")
    assert export(store, tmp_path / "s", "seed-json").lost == (*lost, "robot_stream", "events")
    seen = stored(tmp_path / "b", sample_episode(images=both()))
    lost = ("ee_pose", "wrench", "policy_action", "human_action", "raw_action", "policy_id", "robot_stream", "events")
    assert export(seen, tmp_path / "u", "uniintervene").lost == lost


def test_nothing_to_export_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no episode to export"):
        export(EpisodeStore(tmp_path / "a"), tmp_path / "out", "seed-json")


def test_json_has_no_nan(tmp_path: Path) -> None:
    actions: Array = np.zeros((6, 7), np.float32)
    actions[2] = np.nan
    with pytest.raises(DataRefused, match="steps without executed_action"):
        export(stored(tmp_path / "a", sample_episode(executed_action=actions)), tmp_path / "out", "seed-json")


# --- robomimic -------------------------------------------------------------------------------------------------------


def test_robomimic_has_its_own_layout(tmp_path: Path) -> None:
    import h5py

    store = stored(tmp_path / "a", sample_episode(reward=None), sample_episode(1))
    leaving = [Leaving(episode_id=e, split=s) for e, s in zip(store.ids(), ("train", "validation"), strict=True)]
    export_dataset(store, tmp_path / "out.hdf5", leaving, format="robomimic")
    with h5py.File(tmp_path / "out.hdf5") as file:
        assert file["data"].attrs["total"] == 12
        assert json.loads(file["data"].attrs["env_args"])["env_kwargs"] == {"control_freq": 10.0}
        assert [file[f"mask/{key}"][()].tolist() for key in ("train", "valid")] == [[b"demo_0"], [b"demo_1"]]
        for name, demo in file["data"].items():
            assert demo.attrs["num_samples"] == 6, name
            assert demo["actions"].shape == (6, 7)
            assert demo["dones"][()].tolist() == [0, 0, 0, 0, 0, 1]
            derivation = demo["rewards"].attrs["rewards_derivation"]
            assert demo["rewards"][()].tolist() == [0, 0, 0, 0, 0, float(derivation == "outcome")]
            assert set(demo["obs"]) == {"proprio", "robot0_eef_pos", "robot0_eef_quat", "wrench", "wrist_image"}
            assert demo["obs/wrist_image"].shape == (6, 16, 24, 3)


@pytest.mark.parametrize("key", ["time_s", "action/policy_id", "action/human"])
def test_a_robomimic_file_of_ours_that_was_spoiled_is_refused(tmp_path: Path, key: str) -> None:
    store = stored(tmp_path / "a", sample_episode())
    export_dataset(store, tmp_path / "out.hdf5", [Leaving(episode_id=store.ids()[0])], format="robomimic")
    with h5py.File(tmp_path / "out.hdf5", "r+") as file:
        own = file["data/demo_0/regrasp"]
        del own[key]
        own[key] = np.arange(6) if key == "action/policy_id" else np.array([b"a"] * 6)
    (refused,) = import_dataset(tmp_path / "out.hdf5", tmp_path / "b").quarantined
    assert "numbers" in str(refused) or "no text" in str(refused)


def test_a_foreign_robomimic_file_invents_nothing(tmp_path: Path) -> None:
    import h5py

    with h5py.File(tmp_path / "low.hdf5", "w") as file:
        data = file.create_group("data")
        data.attrs["env_args"] = json.dumps({"env_name": "Lift", "type": 1, "env_kwargs": {"control_freq": 20}})
        demo = data.create_group("demo_0")
        demo["actions"], demo["states"], demo["rewards"] = np.ones((3, 7)), np.ones((3, 32)), np.ones(3)
        demo["obs/robot0_eef_pos"], demo["obs/robot0_eef_quat"] = np.zeros((3, 3)), np.tile([0.0, 0, 0, 1], (3, 1))
        demo["obs/robot0_gripper_qpos"] = np.full((3, 2), 0.5)
        demo["obs/agentview_image"] = np.stack([sample_frame(t) for t in range(3)])
    report = import_dataset(tmp_path / "low.hdf5", tmp_path / "w")
    store = EpisodeStore(tmp_path / "w")
    episode = store.read(report.imported[0])
    assert (episode.task, episode.fps, episode.source_format) == ("lift", 20, "robomimic_hdf5")
    assert (episode.success, set(episode.action_source)) == (Outcome.UNKNOWN, {255})
    assert episode.ee_pose is not None
    assert episode.ee_pose[0].tolist() == [0, 0, 0, 0, 0, 0, 1]
    assert episode.proprio is not None
    assert episode.proprio.shape == (3, 9)
    assert episode.proprio_names[-1] == "robot0_gripper_qpos.1"
    np.testing.assert_array_equal(store.frame(report.imported[0], "agentview", 2), sample_frame(2))
    assert "not kept: states of the demonstrations" in report.warnings


def test_frames_of_two_cameras_and_codecs(tmp_path: Path) -> None:
    two = {"wrist": sample_frames(6), "third": sample_frames(6, 9)}
    ((before, after),) = there_and_back(tmp_path, "lerobot-v3", sample_episode(robot_stream={}, images=two, cameras={}))
    assert differing(before, after) == {"cameras"}
    assert {name: info.width_px for name, info in after.cameras.items()} == {"wrist": 24, "third": 24}
