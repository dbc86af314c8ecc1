"""Damaged recordings: a session of which nothing can be read is named and waited for, and never silently left out."""

from __future__ import annotations

from pathlib import Path

import h5py
import polars as pl
import pytest
from synthetic import make_episode

from episodes.store import EpisodeStore
from pipelines.cli import main

SPLIT = "derived/episodes/split/{}/manifest.json"


def materialized(root: Path, *arguments: str) -> int:
    return main(["materialize", *arguments, "--root", str(root)])


def damage(root: Path, session: str) -> dict[Path, bytes]:
    """Cut every recording of a session; returns what they were."""
    whole = {path: path.read_bytes() for path in (root / "episodes" / session).glob("*.h5")}
    for path, data in whole.items():
        path.write_bytes(data[:500])
    return whole


def test_a_new_session_of_damaged_recordings_is_named_and_all_else_is_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = EpisodeStore(tmp_path)
    store.write(make_episode(1, success=True))
    torn = store.write(make_episode(2, success=True, session="torn", task="torn"))
    kept = damage(tmp_path, "torn")
    for _ in range(2):
        assert materialized(tmp_path, "episodes/split") == 4
        told = capsys.readouterr().err
        assert "episodes/raw of torn did not pass files" in told
        assert torn in told
    assert (tmp_path / SPLIT.format("insert")).exists()
    for path, data in kept.items():
        path.write_bytes(data)
    assert materialized(tmp_path, "episodes/split") == 0
    assert (tmp_path / SPLIT.format("torn")).exists()


def test_a_task_is_not_made_again_without_a_session_that_was_damaged_later(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = EpisodeStore(tmp_path)
    for seed in (1, 2):
        store.write(make_episode(seed, success=True, session="s1"))
    store.write(make_episode(3, success=True, session="other", task="other"))
    assert materialized(tmp_path, "episodes/split") == 0
    before = (tmp_path / SPLIT.format("insert")).read_bytes()
    kept = damage(tmp_path, "s1")
    EpisodeStore(tmp_path).write(make_episode(4, success=True, session="s2"))
    EpisodeStore(tmp_path).write(make_episode(5, success=True, session="more", task="other"))
    other = (tmp_path / SPLIT.format("other")).read_bytes()
    assert materialized(tmp_path, "episodes/split") == 4
    assert "episodes/raw of s1 did not pass files" in capsys.readouterr().err
    assert (tmp_path / SPLIT.format("insert")).read_bytes() == before
    assert (tmp_path / SPLIT.format("other")).read_bytes() != other
    for path, data in kept.items():
        path.write_bytes(data)
    assert materialized(tmp_path, "episodes/split") == 0
    assert (tmp_path / SPLIT.format("insert")).read_bytes() != before


def test_a_recording_that_is_put_back_is_used_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = EpisodeStore(tmp_path)
    store.write(make_episode(1, success=True))
    torn = store.write(make_episode(2, success=True))
    path = store.path(torn)
    kept = path.read_bytes()
    with h5py.File(path, "r+") as file:
        del file["action/source"]  # its attributes can still be read
    for excluded in (True, False):
        assert materialized(tmp_path, "episodes/split") == 0
        assert (f"damaged recording {torn} is another file now" in capsys.readouterr().out) is not excluded
        decided = pl.read_parquet(tmp_path / "derived/episodes/decided/insert/table.parquet")
        assert dict(decided.select("episode_id", "excluded").iter_rows())[torn] is excluded
        assert materialized(tmp_path, "episodes/split") == 0
        assert capsys.readouterr().out.startswith("nothing to do"), "also while it is damaged"
        path.write_bytes(kept)
    assert len(pl.read_parquet(tmp_path / "split.parquet")) == 2


def test_what_is_up_to_date_is_counted_in_what_was_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    EpisodeStore(tmp_path).write(make_episode(1, success=True))
    EpisodeStore(tmp_path).write(make_episode(2, success=True, session="s2"))
    assert materialized(tmp_path, "episodes/raw") == 0
    assert "2 of 2 are stale" in capsys.readouterr().out
    assert materialized(tmp_path, "episodes/raw") == 0
    assert capsys.readouterr().out == "nothing to do, 2 up to date\n"
