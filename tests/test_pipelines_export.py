"""`regrasp export`: what goes out of a workspace, with whose outcomes, and what is said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import get_args

import polars as pl
import pyarrow.parquet as pq
import pytest
from synthetic import make_episode

from audits.freeze import freeze
from audits.log import AuditLog
from episodes.formats import import_dataset
from episodes.formats.registry import writers
from episodes.split import assign
from episodes.store import EpisodeStore
from pipelines.cli import main
from pipelines.commands.export import Format

FORMATS = ("lerobot-v3", "robomimic", "seed-json")


def test_the_command_offers_every_format() -> None:
    assert get_args(Format) == tuple(writers())


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A workspace with two episodes of session s1 and one of another task in s2."""
    store = EpisodeStore(tmp_path / "w")
    for seed in (1, 2):
        store.write(make_episode(seed, success=True))
    store.write(make_episode(3, success=None, session="s2", task="other"))
    return tmp_path / "w"


def export(root: Path, out: Path, *arguments: str) -> int:
    return main(["export", str(out), "--root", str(root), *arguments])


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize(("chosen", "count"), [((), 3), (("--task", "insert"), 2), (("--session", "s2"), 1)])
def test_what_is_chosen_goes_out(
    root: Path, format: str, chosen: tuple[str, ...], count: int, capsys: pytest.CaptureFixture[str]
) -> None:
    out = root.parent / "out.hdf5"
    assert export(root, out, "--format", format, *chosen) == 0
    assert f"{count} episodes, " in capsys.readouterr().out
    assert len(import_dataset(out, root.parent / "again").imported) == count


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--task", "sewing"), "there is no task 'sewing'"),
        (("--session", "s9"), "there is no session 's9'"),
        (("--session", "s1", "--task", "other"), "no episode to export"),
    ],
)
def test_what_is_not_there_is_said(
    root: Path, arguments: tuple[str, ...], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert export(root, root.parent / "out", "--format", "seed-json", *arguments) == 2
    assert told in capsys.readouterr().err
    assert not (root.parent / "out").exists()


def test_a_taken_destination_and_a_damaged_episode_are_refused(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert export(root, root, "--format", "seed-json") == 2
    assert "is there already" in capsys.readouterr().err
    store = EpisodeStore(root)
    store.path(store.ids()[0]).write_bytes(b"torn")
    assert export(root, root.parent / "out", "--format", "seed-json") == 3
    assert not (root.parent / "out").exists()


def test_outcomes_are_the_freezes_and_excluded_episodes_stay(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    failed, excluded = EpisodeStore(root).ids(task="insert")
    log = AuditLog(root / "audits.sqlite")
    log.append("episode.outcome", failed, by="ann", value={"success": "failure"}, shown={}, seconds=1.0)
    log.append("episode.exclude", excluded, by="ann", value={"excluded": True}, shown={}, seconds=1.0)
    freeze(log, "episodes", "monday", by="ann")
    assert export(root, root.parent / "out", "--format", "lerobot-v3", "--task", "insert") == 0
    assert "left out: 1 excluded episodes\n" in capsys.readouterr().out
    again = EpisodeStore(root.parent / "again")
    assert import_dataset(root.parent / "out", root.parent / "again").imported == (failed,)
    told = again.attributes(failed)
    assert (told["success"], told["success_derivation"]) == ("failure", "episode freeze")


def test_curves_and_splits_go_along(root: Path) -> None:
    store = EpisodeStore(root)
    store.write(make_episode(5, success=True))
    assign(store, "insert")
    with_curves, *without = store.ids(task="insert")
    length = store.attributes(with_curves)["length"]
    frame = {"episode_id": [with_curves] * length, "frame_index": range(length), "value": [0.5] * length}
    place = root / "derived/values/curves/s1/0123456789abcdef.parquet"
    place.parent.mkdir(parents=True)
    pl.DataFrame(frame | {"risk": [0.25] * length}).write_parquet(place)
    assert export(root, root.parent / "out", "--format", "lerobot-v3", "--task", "insert") == 0
    info = json.loads((root.parent / "out/meta/info.json").read_text())
    assert info["splits"] == {"train": "0:2", "validation": "2:3"}
    table = pl.from_arrow(pq.read_table(root.parent / "out/data/chunk-000/file-000.parquet"))
    assert isinstance(table, pl.DataFrame)
    known = table.filter(pl.col("complementary_info.value").is_not_nan())
    assert len(known) == length
    assert set(known["complementary_info.risk"]) == {0.25}
    assert len(table) == length + sum(store.attributes(other)["length"] for other in without)
