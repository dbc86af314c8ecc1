"""`regrasp inspect` and what `collect` and `deploy` refuse before they begin."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from synthetic import make_episode

from episodes.store import EpisodeStore
from pipelines.cli import main


def run(root: Path, *arguments: str) -> int:
    return main([*arguments, "--root", str(root)])


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A workspace with two episodes in session s1."""
    for seed in (1, 2):
        EpisodeStore(tmp_path).write(make_episode(seed, success=True))
    return tmp_path


def test_a_damaged_recording_is_a_row_and_the_list_goes_on(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torn, whole = EpisodeStore(root).ids()
    path = EpisodeStore(root).path(torn)
    path.write_bytes(path.read_bytes()[:500])
    assert run(root, "inspect", "--json") == 0
    captured = capsys.readouterr()
    rows = {row["episode_id"]: row for row in json.loads(captured.out)}
    assert (rows[torn]["session"], rows[torn]["length"]) == ("s1", None)
    assert torn in rows[torn]["damaged"]
    assert rows[whole]["success"] == "success"
    assert "damaged" not in rows[whole]
    assert captured.err == f"damaged: {rows[torn]['damaged']}\n"
    assert run(root, "inspect", "--session", "s1") == 0
    assert torn in capsys.readouterr().out
    assert run(root, "inspect") == 0
    head, row = capsys.readouterr().out.splitlines()
    assert dict(zip(head.split(), row.split(), strict=True)) == {
        "session": "s1",
        "task": "insert",
        "episodes": "2",
        "success": "1",
        "failure": "0",
        "unknown": "0",
        "minutes": "0.1",
        "damaged": "1",
    }
    assert run(root, "inspect", torn) == 3


def test_the_start_of_an_id_names_one_episode_or_says_why_not(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(root, "inspect", "") == 2
    assert "2 episodes begin with" in capsys.readouterr().err
    assert run(root, "inspect", "zz") == 2
    assert "no episode begins with 'zz'" in capsys.readouterr().err


def test_a_session_that_there_is_not_is_a_usage_error(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(root, "inspect", "--session", "nope") == 2
    assert "there is no session 'nope'" in capsys.readouterr().err


@pytest.mark.parametrize("verb", ["collect", "deploy"])
@pytest.mark.parametrize("count", ["0", "-1"])
def test_a_session_of_no_episodes_is_a_usage_error(
    tmp_path: Path, verb: str, count: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path / "w", verb, "--episodes", count) == 2
    assert f"--episodes is {count}" in capsys.readouterr().err
    assert not (tmp_path / "w").exists()


def test_a_policy_that_is_not_there_is_a_usage_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path / "w", "collect", "--policy", str(tmp_path / "nope")) == 2
    assert "there is no policy at" in capsys.readouterr().err
    assert not (tmp_path / "w").exists()
