"""The stage of quality: a row an episode, measured once, advice that stops nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from test_episodes_quality import clean

from assets import quality
from assets.manifest import read_manifest
from assets.stages import STAGE
from episodes.findings import Quality
from episodes.quality import examine
from episodes.record import Episode
from episodes.store import EpisodeStore
from episodes.workspace import Workspace
from pipelines.materialize import materialize

KEY = "episodes/quality"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    store = EpisodeStore(tmp_path)
    store.write(clean())
    store.write(clean(wrench=np.zeros((60, 6), np.float32)))
    return tmp_path


def table(root: Path) -> pl.DataFrame:
    materialize(Workspace.open(root), [KEY], say=lambda _: None, show_progress=False)
    return pl.read_parquet(root / "derived" / KEY / "monday/table.parquet")


def test_each_episode_has_a_row_that_says_what_was_measured(root: Path) -> None:
    rows, store = table(root), EpisodeStore(root)
    assert dict(rows.schema) == quality.SCHEMA
    assert rows["episode_id"].to_list() == store.ids()
    for row in rows.iter_rows(named=True):
        assert Quality.of(row) == examine(store.read(row["episode_id"]))
    manifest = read_manifest(Workspace.open(root), STAGE[KEY], "monday")
    assert manifest is not None
    assert manifest.metadata == {"episodes": 2, "keep": 1, "weight": 1, "exclude": 0, "episodes with dead wrench": 1}
    (check,) = manifest.checks
    assert (check.passed, check.blocks) == (False, False)
    assert "1 of 2 episodes are fit to learn from as they are; suggested are 1 to weigh less" in check.sentence
    names = {path.name for path in (root / "derived" / KEY / "monday").iterdir()}
    assert names == {"table.parquet", "manifest.json", "tremble.png", "defects.png"}


def test_an_episode_is_measured_once(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, measured = table(root), list[Episode]()

    def counted(episode: Episode) -> Quality:
        measured.append(episode)
        return examine(episode)

    monkeypatch.setattr(quality, "examine", counted)
    EpisodeStore(root).write(clean(task="tube_insertion", ee_pose=None))
    rows = table(root)
    assert len(measured) == 1
    assert len(rows) == 3
    assert rows.filter(pl.col("episode_id").is_in(first["episode_id"].to_list())).equals(first)


def test_what_validation_refused_is_not_measured_and_told_in_its_words(root: Path) -> None:
    bad = EpisodeStore(root).write(clean(proprio=np.full((60, 8), np.nan, np.float32)))
    lost = table(root).row(by_predicate=pl.col("episode_id") == bad, named=True)
    assert (lost["verdict"], lost["steps"], lost["tremble"]) == ("exclude", 60, None)
    (finding,) = lost["findings"]
    assert (finding["defect"], finding["reason"]) == ("refused", "proprio is NaN or infinite at step 0")
