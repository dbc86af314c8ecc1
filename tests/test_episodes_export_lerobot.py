"""Export to LeRobot v3.0: the official writer's layout, our columns beside it, what one dataset cannot hold."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from episode_samples import sample_episode
from export_samples import BRIDGE, DEMO, differing, export, stored, there_and_back

from episodes.errors import DataRefused
from episodes.formats import import_dataset
from episodes.formats.exporting import Leaving, export_dataset
from episodes.formats.note import note_of, with_note
from episodes.store import EpisodeStore


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


@pytest.mark.parametrize("event", [{"t": 6, "kind": "note"}, {"kind": "note"}, {"t": 0}, {"t": [], "kind": "note"}])
def test_a_note_with_an_event_of_no_step_is_passed_over(event: dict[str, Any]) -> None:
    episode = sample_episode(robot_stream={})
    text = json.dumps(json.loads(note_of(episode)) | {"events": [event], "robot": "other"})
    found, warning = with_note(episode, text, decided=set())
    assert (found.robot, found.events) == (episode.robot, episode.events)
    assert "damaged" in warning


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
