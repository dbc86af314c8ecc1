"""Export to Rerun: refused in a sentence without its package, and with it every array is in the recording."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from episode_samples import sample_episode, sample_frames

from episodes.errors import MissingExtra
from episodes.formats import rerun_export
from episodes.formats.exporting import Leaving, export_dataset
from episodes.store import EpisodeStore


def test_without_the_extra_it_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rerun", None)
    store = EpisodeStore(tmp_path / "a")
    leaving = [Leaving(episode_id=store.write(sample_episode()))]
    with pytest.raises(MissingExtra, match=r"pip install 'regrasp\[viewer\]'"):
        export_dataset(store, tmp_path / "out", leaving, format="rerun")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_every_array_is_in_the_recording(tmp_path: Path) -> None:
    reader = pytest.importorskip("rerun.chunk")
    store = EpisodeStore(tmp_path / "a")
    episode = sample_episode(depth={"wrist": sample_frames(6)})
    curve = np.linspace(0, 1, 6)
    leaving = Leaving(episode_id=store.write(episode), curves=lambda: {"value": curve})
    report = export_dataset(store, tmp_path / "out", [leaving], format="rerun")
    assert report.lost == ("arrays: policy_id, robot_stream",)
    (file,) = (tmp_path / "out").iterdir()
    assert file.name == f"{leaving.episode_id}.rrd"
    columns = {}
    for chunk in reader.RrdReader(file).stream().to_chunks():
        table = chunk.to_record_batch().to_pydict()
        columns |= {f"{chunk.entity_path}|{name}": values for name, values in table.items()}
    for entity, field in rerun_export.ENTITIES.items():
        want = np.asarray(getattr(episode, field), np.float64).reshape(6, -1)
        np.testing.assert_array_equal(columns[f"/{entity}|Scalars:scalars"], want)
    assert columns["/proprio|step"] == list(range(6))
    assert columns["/proprio|SeriesLines:names"] == [list("qrstuvwx")]
    assert [bytes(row[0]) for row in columns["/camera/wrist|EncodedImage:blob"]] == [
        episode.images["wrist"].frame(t) for t in range(6)
    ]
    assert columns["/depth/wrist|EncodedDepthImage:meter"] == [[1000.0]] * 6
    assert columns["/actor|TextLog:text"] == [["policy"], ["human"]]
    assert columns["/curve/value|Scalars:scalars"] == [[value] for value in curve]
    assert "Insert the tube" in columns["/episode|TextDocument:text"][0][0]
