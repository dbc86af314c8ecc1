"""LeRobot v3.0: Bridge as it is, and what its columns may say."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path
from typing import Any

import av
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from episode_samples import sample_frame
from PIL import Image

from episodes.errors import EpisodeFormatError
from episodes.formats import import_dataset
from episodes.formats.lerobot import steps as lerobot_steps
from episodes.record import ActionSource, Outcome
from episodes.store import EpisodeStore

BRIDGE = Path(__file__).parent / "data" / "lerobot_v30_bridge"
DATA = Path("data/chunk-000/file-000.parquet")
VIDEO = Path("videos/observation.images.image_0/chunk-000/file-000.mp4")


@pytest.fixture(scope="module")
def bridge(tmp_path_factory: pytest.TempPathFactory) -> tuple[EpisodeStore, Any]:
    root = tmp_path_factory.mktemp("bridge")
    return EpisodeStore(root), import_dataset(BRIDGE, root)


def edited(tmp_path: Path, columns: dict[str, Any] | None = None, **info: Any) -> Path:
    """A copy of Bridge with columns of the data file and entries of info.json changed."""
    root = tmp_path / "copy"
    shutil.copytree(BRIDGE, root)
    table = pq.read_table(root / DATA)
    for name, values in (columns or {}).items():
        if name in table.column_names:
            table = table.drop_columns([name])
        if values is not None:
            table = table.append_column(name, pa.array(values))
    pq.write_table(table, root / DATA)
    meta = root / "meta" / "info.json"
    meta.write_text(json.dumps(json.loads(meta.read_text()) | info))
    return root


def without_video(**more: Any) -> dict[str, Any]:
    features = json.loads((BRIDGE / "meta" / "info.json").read_text())["features"]
    del features["observation.images.image_0"]
    return {"features": features | more}


def test_bridge_is_25_episodes_of_unknown_outcome(bridge: tuple[EpisodeStore, Any]) -> None:
    store, report = bridge
    assert (len(report.imported), report.duplicates, report.quarantined) == (25, (), ())
    found = [store.read(name) for name in report.imported]
    assert sum(map(len, found)) == 250
    assert len({episode.instruction for episode in found}) == 4
    for episode in found:
        assert (episode.task, episode.robot) == ("lerobot_v30_bridge", "widowx_250")
        assert (episode.success, episode.collection) == (Outcome.UNKNOWN, "unknown")
        assert set(episode.action_source) == {ActionSource.UNKNOWN}
        assert (episode.fps, episode.time_derivation) == (5, "declared rate")
        assert episode.reward is not None
        assert not episode.reward.any()
    assert any(warning.startswith("outcome (25 of 25") for warning in report.warnings)


def test_columns_are_the_sources(bridge: tuple[EpisodeStore, Any]) -> None:
    store, report = bridge
    rows = pq.read_table(BRIDGE / DATA, filters=[("episode_index", "=", 7)])
    episode = store.read(report.imported[7])
    assert episode.executed_action is not None
    np.testing.assert_array_equal(episode.executed_action, np.array(rows["action"].to_pylist(), np.float32))
    np.testing.assert_array_equal(episode.proprio, np.array(rows["observation.state"].to_pylist(), np.float32))
    assert episode.proprio_names[:3] == ("x", "y", "z")
    assert episode.action_space["names"][-1] == "gripper"
    np.testing.assert_array_equal(episode.time_s, np.arange(10) / 5)


def test_each_frame_of_the_video_goes_to_its_step(bridge: tuple[EpisodeStore, Any]) -> None:
    store, report = bridge
    with av.open(str(BRIDGE / VIDEO)) as container:
        frames = [frame.to_ndarray(format="rgb24").astype(int) for frame in container.decode(video=0)]
    for episode, t in ((0, 0), (0, 9), (11, 0), (11, 5), (24, 9)):
        got = store.frame(report.imported[episode], "image_0", t)
        distance = [np.abs(got - frame).mean() for frame in frames]
        assert int(np.argmin(distance)) == 10 * episode + t
        assert min(distance) < 3


def test_an_intervention_column_says_who_acted(tmp_path: Path) -> None:
    flags = np.tile([0, 0, 1, 1, 0, 0, 0, 0, 0, 0], 25).astype(np.float32)
    source = edited(tmp_path, {"complementary_info.is_intervention": flags}, **without_video())
    report = import_dataset(source, tmp_path / "w")
    episode = EpisodeStore(tmp_path / "w").read(report.imported[3])
    assert episode.action_source.tolist() == [0, 0, 2, 2, 0, 0, 0, 0, 0, 0]
    assert (episode.collection, episode.human_action) == ("takeover", None)


def test_success_must_be_said(tmp_path: Path) -> None:
    said = [k == 9 for k in range(250)]
    source = edited(tmp_path, {"next.success": said, "next.reward": [1.0] * 250}, **without_video())
    report = import_dataset(source, tmp_path / "w")
    store = EpisodeStore(tmp_path / "w")
    found = [store.attributes(name)["success"] for name in report.imported]
    assert found == ["success"] + ["unknown"] * 24
    assert store.attributes(report.imported[0])["success_derivation"] == "field next.success of the source"


def test_recorded_stamps_are_kept_and_bad_ones_counted(tmp_path: Path) -> None:
    stamps = np.tile(np.arange(10) * 0.2, 25)
    stamps[5:10] += 0.5
    stamps[13] = stamps[12]
    source = edited(tmp_path, {"timestamp": stamps.astype(np.float32)}, **without_video())
    report = import_dataset(source, tmp_path / "w")
    store = EpisodeStore(tmp_path / "w")
    slow, doubled, plain = (store.read(name) for name in report.imported[:3])
    assert (slow.time_derivation, float(slow.time_s[5])) == ("recorded", pytest.approx(1.5))
    assert (doubled.time_derivation, dict(doubled.source_time_defects)) == (
        "declared rate",
        {"duplicate": 1, "backward": 0},
    )
    assert plain.time_derivation == "declared rate"
    assert any(warning.startswith("source_time_defects (1 of 25") for warning in report.warnings)


def test_images_in_parquet_are_passed_through(tmp_path: Path) -> None:
    def png(k: int) -> bytes:
        buffer = io.BytesIO()
        Image.fromarray(sample_frame(k)).save(buffer, "PNG")
        return buffer.getvalue()

    cells = [{"bytes": png(k), "path": None} for k in range(250)]
    feature = {"observation.images.wrist": {"dtype": "image", "names": None}}
    source = edited(tmp_path, {"observation.images.wrist": cells}, **without_video(**feature))
    report = import_dataset(source, tmp_path / "w")
    store = EpisodeStore(tmp_path / "w")
    assert store.encoded(report.imported[2], "wrist", 4) == (png(24), "png")
    np.testing.assert_array_equal(store.frame(report.imported[2], "wrist", 4), sample_frame(24))


def test_columns_that_are_not_kept_are_named(tmp_path: Path) -> None:
    source = edited(tmp_path, **without_video(**{"observation.effort": {"dtype": "float32"}}))
    assert "not kept: columns observation.effort" in import_dataset(source, tmp_path / "w").warnings


def test_what_video_loses_is_said(bridge: tuple[EpisodeStore, Any]) -> None:
    _, report = bridge
    (told,) = (warning for warning in report.warnings if "JPEG q95" in warning)
    assert told.startswith("video becomes JPEG q95, which loses a little: observation.images.")


def test_a_damaged_video_quarantines_its_episodes(tmp_path: Path) -> None:
    source = edited(tmp_path)
    (source / VIDEO).write_bytes((source / VIDEO).read_bytes()[:100_000])
    report = import_dataset(source, tmp_path / "w")
    assert len(report.imported) + len(report.quarantined) == 25
    assert report.quarantined
    assert {error.key for error in report.quarantined} == {"observation.images.image_0"}


def test_a_video_of_an_unknown_codec_is_refused(tmp_path: Path) -> None:
    source = edited(tmp_path)
    (source / VIDEO).write_bytes((source / VIDEO).read_bytes().replace(b"av01", b"zz01"))
    report = import_dataset(source, tmp_path / "w")
    assert report.imported == ()
    assert "its codec is not known" in str(report.quarantined[0])


def test_a_table_whose_columns_are_of_another_kind_is_refused(tmp_path: Path) -> None:
    source = edited(tmp_path)
    data = (source / DATA).read_bytes()
    (source / DATA).write_bytes(data.replace(b"frame_index", b"frame_inde\xff"))
    assert "no Parquet file" in str(import_dataset(source, tmp_path / "w").quarantined[0])
    (source / DATA).write_bytes(data)
    pq.write_table(pa.table({"task_index": [[0]], "task": ["a"]}), source / "meta" / "tasks.parquet")
    with pytest.raises(EpisodeFormatError, match=r"not the columns of one.*tasks.parquet"):
        import_dataset(source, tmp_path / "w")


def test_holes_in_a_column_are_refused(tmp_path: Path) -> None:
    actions = pq.read_table(BRIDGE / DATA)["action"].to_pylist()
    actions[12] = None
    report = import_dataset(edited(tmp_path, {"action": actions}, **without_video()), tmp_path / "w")
    assert len(report.imported) == 24
    assert [(error.episode, error.key) for error in report.quarantined] == [("1", "action")]


def test_missing_rows_are_refused(tmp_path: Path) -> None:
    source = edited(tmp_path, **without_video())
    pq.write_table(pq.read_table(source / DATA).slice(0, 245), source / DATA)
    (error,) = import_dataset(source, tmp_path / "w").quarantined
    assert (error.episode, error.key) == ("24", "length")


@pytest.mark.parametrize(
    ("info", "says"),
    [
        ({"codebase_version": "v4.0"}, "LeRobot v4.0 .*; update Regrasp"),
        ({"codebase_version": "v1.6"}, "LeRobot v1.6 .*; convert it"),
        ({"codebase_version": 3}, "valid string"),
        ({"fps": 0}, "greater than 0"),
        ({"features": None}, "object"),
    ],
)
def test_a_dataset_that_cannot_be_read_is_refused_whole(tmp_path: Path, info: dict[str, Any], says: str) -> None:
    with pytest.raises(EpisodeFormatError, match=says) as caught:
        import_dataset(edited(tmp_path, **info), tmp_path / "w")
    assert caught.value.file == "copy/meta/info.json"


def test_paths_that_leave_the_dataset_are_refused(tmp_path: Path) -> None:
    source = edited(tmp_path, data_path="../{chunk_index}{file_index}.parquet", **without_video())
    shutil.copy(source / DATA, tmp_path / "00.parquet")
    report = import_dataset(source, tmp_path / "w")
    assert report.imported == ()
    assert "leads out of the dataset" in str(report.quarantined[0])


def test_a_missing_video_and_damaged_parquet_are_named(tmp_path: Path) -> None:
    source = edited(tmp_path)
    (source / VIDEO).unlink()
    report = import_dataset(source, tmp_path / "w")
    assert len(report.quarantined) == 25
    assert "is missing" in str(report.quarantined[0])
    (source / "meta" / "tasks.parquet").write_bytes(b"PAR1")
    with pytest.raises(EpisodeFormatError, match=r"no Parquet file.*tasks.parquet"):
        import_dataset(source, tmp_path / "w")


def test_only_the_row_groups_of_an_episode_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = edited(tmp_path, **without_video())
    one_group = import_dataset(source, tmp_path / "w")
    monkeypatch.setattr(lerobot_steps, "LARGEST", 4000)  # a row group of ten steps is 2 kB, the whole file 30 kB
    (refused, *_) = import_dataset(source, tmp_path / "v").quarantined
    assert "with one row group an episode" in str(refused)
    pq.write_table(pq.read_table(source / DATA), source / DATA, row_group_size=10)
    assert import_dataset(source, tmp_path / "v").imported == one_group.imported


def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path: Path) -> None:
    source = edited(tmp_path, **without_video())
    table = lerobot_steps.EpisodeTable(source / DATA, "file", "0")
    assert len(table.episode(0)) == 10
    (source / DATA).write_bytes((source / DATA).read_bytes() + b"more")
    with pytest.raises(EpisodeFormatError, match="changed while it was read"):
        table.episode(1)
    table.close()


def test_an_episode_whose_video_is_longer_or_nowhere_is_refused(tmp_path: Path) -> None:
    source = edited(tmp_path)
    listed = source / "meta" / "episodes" / "chunk-000" / "file-000.parquet"
    table = pq.read_table(listed)
    for name, row, value in (("to", 3, 99.0), ("from", 4, None)):
        key = f"videos/observation.images.image_0/{name}_timestamp"
        values = table[key].to_pylist()
        values[row] = value
        table = table.set_column(table.column_names.index(key), key, pa.array(values))
    pq.write_table(table, listed)
    said = {error.episode: str(error) for error in import_dataset(source, tmp_path / "w").quarantined}
    assert sorted(said) == ["3", "4"]
    assert "465 frames for 10 steps" in said["3"]
    assert "does not say where its video begins" in said["4"]


def test_a_newer_minor_version_is_said(tmp_path: Path) -> None:
    report = import_dataset(edited(tmp_path, codebase_version="v3.1", **without_video()), tmp_path / "w")
    assert len(report.imported) == 25
    assert any(told.startswith("this is LeRobot v3.1") for told in report.warnings)


def test_a_list_of_episodes_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    source = edited(tmp_path, **without_video())
    listed = source / "meta" / "episodes" / "chunk-000" / "file-000.parquet"
    table = pq.read_table(listed)
    broken = pa.array([b"\xff\xfe"] * len(table)).cast(pa.string(), safe=False)
    pq.write_table(table.append_column("regrasp", broken), listed)
    with pytest.raises(EpisodeFormatError, match="no Parquet file, or not the columns of one"):
        import_dataset(source, tmp_path / "w")
