"""A lost, cut or emptied audit log stops everything that is made of decisions, and reading never makes one."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import polars as pl
import pytest
from synthetic import make_episode

from assets.making import Made, Maker
from audits.freeze import freeze
from audits.log import AuditLog
from episodes.errors import IntegrityError
from episodes.store import EpisodeStore
from pipelines.cli import main
from pipelines.sensors import what_is_stale

DECIDED = "episodes/decided"


def run(root: Path, *arguments: str) -> int:
    return main([*arguments, "--root", str(root)])


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A workspace with one episode, which a person excluded; `older.sqlite` is the log before the second freeze."""
    root = tmp_path / "w"
    episode_id = EpisodeStore(root).write(make_episode(1, success=True))
    log = AuditLog(root / "audits.sqlite")
    freeze(log, "episodes", "nothing", by="ann")
    shutil.copyfile(root / "audits.sqlite", tmp_path / "older.sqlite")
    log.append("episode.exclude", episode_id, by="ann", value={"excluded": True}, shown={}, seconds=1.0)
    freeze(log, "episodes", "first", by="ann")
    assert run(root, "materialize", DECIDED) == 0
    return root


def gone(root: Path) -> None:
    (root / "audits.sqlite").unlink()


def emptied(root: Path) -> None:
    (root / "audits.sqlite").write_bytes(b"")


def older(root: Path) -> None:
    shutil.copyfile(root.parent / "older.sqlite", root / "audits.sqlite")


@pytest.mark.parametrize(("lose", "told"), [(gone, "is gone"), (emptied, "empty file"), (older, "ends at event 1")])
def test_nothing_is_made_on_a_log_that_lost_decisions(
    root: Path, tmp_path: Path, lose: Callable[[Path], None], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    export = tmp_path / "log.jsonl"
    assert run(root, "audit", "export", str(export)) == 0
    EpisodeStore(root).write(make_episode(2, success=True))
    lose(root)
    left = (root / "audits.sqlite").read_bytes() if (root / "audits.sqlite").exists() else None
    capsys.readouterr()
    for verb in (["materialize", DECIDED, "--only"], ["materialize"], ["audit", "log"], ["audit", "verify"]):
        assert run(root, *verb) == 5, verb
        said = capsys.readouterr().err
        assert told in said
        assert "audit import" in said
        assert said.count("\n") == 1
    with pytest.raises(IntegrityError, match=told):
        Maker(root).make("episodes/raw", "s1", lambda work: Made())
    with dg.DagsterInstance.ephemeral() as instance, pytest.raises(IntegrityError, match=told):
        what_is_stale(dg.build_sensor_context(instance, resources={"maker": Maker(root)}))
    assert run(root, "audit", "freeze", "episodes", "second", "--by", "ann") == 5
    assert left == ((root / "audits.sqlite").read_bytes() if left is not None else None)
    assert (root / "audits.sqlite").exists() == (left is not None)
    if lose is emptied:
        (root / "audits.sqlite").unlink()
    assert run(root, "audit", "import", str(export)) == 0
    assert run(root, "materialize", DECIDED) == 0
    assert pl.read_parquet(root / "derived" / DECIDED / "insert" / "table.parquet")["excluded"].sum() == 1


def test_a_cut_right_before_the_freeze_shows_although_the_head_in_it_is_there(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    events = AuditLog(root / "audits.sqlite").events()
    (root / "audits.sqlite").unlink()
    AuditLog(root / "audits.sqlite").restore(events[:2])
    assert run(root, "materialize") == 5
    assert "lacks the freeze first of episodes" in capsys.readouterr().err


def test_an_export_that_is_too_old_says_so(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    older(root)
    shutil.copytree(root, tmp_path / "old", ignore=shutil.ignore_patterns("derived"))
    assert run(tmp_path / "old", "audit", "export", str(tmp_path / "old.jsonl")) == 0
    gone(root)
    assert run(root, "audit", "import", str(tmp_path / "old.jsonl")) == 5
    assert "ends at event 1, but event 2 was noted" in capsys.readouterr().err


def test_where_nobody_decided_anything_no_log_is_needed_and_none_is_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    EpisodeStore(tmp_path).write(make_episode(1, success=True))
    assert run(tmp_path, "materialize", DECIDED) == 0
    capsys.readouterr()
    assert run(tmp_path, "audit", "log") == 0
    assert "no decisions yet" in capsys.readouterr().out
    assert run(tmp_path, "audit", "verify", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"decisions": 0, "freezes": 0, "head": None}
    assert run(tmp_path, "audit", "export", str(tmp_path / "log.jsonl")) == 2
    assert run(tmp_path, "audit", "import", str(tmp_path / "gone.jsonl")) == 3
    assert not (tmp_path / "audits.sqlite").exists()


def test_a_freeze_is_counted_as_a_freeze(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert run(root, "audit", "verify") == 0
    assert capsys.readouterr().out == "1 decisions and 2 freezes are as they were written\n"
    assert run(root, "audit", "verify", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found == {"decisions": 1, "freezes": 2, "head": AuditLog(root / "audits.sqlite").head()[1]}


def test_the_log_says_what_was_decided_and_what_was_taken_back(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    AuditLog(root / "audits.sqlite").undo(2, by="bo")
    capsys.readouterr()
    assert run(root, "audit", "log") == 0
    said = capsys.readouterr().out
    assert "excluded True (taken back)" in said
    assert "seq 2" in said


def test_two_freezes_are_compared(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert run(root, "audit", "diff", "episodes", "nothing", "first", "--json") == 0
    (changed,) = json.loads(capsys.readouterr().out)
    assert (changed["before"], changed["after"]) == ({}, {"excluded": True})
    assert run(root, "audit", "diff", "episodes", "first", "first") == 0
    assert "hold the same decisions" in capsys.readouterr().out
    assert run(root, "audit", "diff", "episodes", "first", "gone") == 2
    assert "there is no freeze 'gone'" in capsys.readouterr().err
