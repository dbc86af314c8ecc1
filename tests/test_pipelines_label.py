"""`regrasp label`: a table of decisions is taken whole or not at all, and every wrong row is named."""

from __future__ import annotations

from pathlib import Path

import pytest
from synthetic import make_episode

from audits.freeze import latest
from audits.log import AuditLog
from audits.state import fold
from episodes.store import EpisodeStore
from pipelines.cli import main


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A workspace with three episodes of unknown outcome."""
    root = tmp_path / "workspace"
    for seed in (1, 2, 3):
        EpisodeStore(root).write(make_episode(seed, success=None))
    return root


def label(root: Path, text: str | bytes, *more: str) -> int:
    table = root.parent / "outcomes.csv"
    table.write_bytes(text if isinstance(text, bytes) else text.encode())
    return main(["label", "episodes", str(table), *more, "--root", str(root)])


def decided(root: Path) -> dict[str, dict[str, object]]:
    return fold(AuditLog(root / "audits.sqlite", create=False).events()).episodes


def test_every_kind_of_decision_comes_from_its_column(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a, b, c = EpisodeStore(root).ids()
    text = (
        "episode_id,success,failure_mode,excluded,weight,note\n"
        f'{a},success,,,,"slow, but\nin the end"\n'
        f"{b},failure,jam,true,,\n"
        f"{c},,,no,0.5,\n"
    )
    assert label(root, text, "--by", "ann") == 0
    assert decided(root) == {
        a: {"success": "success", "note": "slow, but\nin the end"},
        b: {"success": "failure", "failure_mode": "jam", "excluded": True},
        c: {"excluded": False, "weight": 0.5},
    }
    out = capsys.readouterr().out
    assert "7 decisions on 3 episodes are in the log: 2 outcome, 1 note, 1 failure_mode, 2 exclude, 1 weight" in out
    assert "training will use 2 of 3 episodes of insert: 1 success, 0 failure, 1 unknown, 1 with another weight" in out
    assert "regrasp audit freeze episodes NAME" in out
    log = AuditLog(root / "audits.sqlite")
    assert log.verify() == 7
    assert {(event.by, event.shown["table"]) for event in log.events()} == {("ann", "outcomes.csv")}
    assert [event.shown["line"] for event in log.events()] == [2, 2, 4, 4, 4, 5, 5]
    assert main(["audit", "freeze", "episodes", "first", "--root", str(root)]) == 0
    frozen = latest(log, "episodes")
    assert frozen is not None
    assert frozen.decisions == decided(root)


def test_the_same_table_again_adds_nothing_and_a_change_of_mind_counts(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a, b, _ = EpisodeStore(root).ids()
    text = f"episode_id,success\n{a},success\n{b},failure\n"
    assert label(root, text) == 0
    assert label(root, text) == 0
    assert "0 decisions on 0 episodes are in the log; 2 stood already" in capsys.readouterr().out
    assert label(root, f"episode_id,success\n{a},failure\n{b},failure\n") == 0
    assert decided(root) == {a: {"success": "failure"}, b: {"success": "failure"}}
    assert AuditLog(root / "audits.sqlite").verify() == 3


def test_every_wrong_row_is_named_and_nothing_is_written(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a, b, c = EpisodeStore(root).ids()
    rows = [
        (f"{a},maybe,,,,", "line 2: success is 'maybe'; it may be success, failure, unknown"),
        (f"{b},failure,slid,,,", "line 3: failure_mode is 'slid'; it may be slip, jam"),
        (f"{c},success,jam,,,", "line 4: a failure_mode is given to success; only a failure has one"),
        (f"{a},success,,,,", f"line 5: episode {a} has a row already, in line 2"),
        ("0123456789abcdef,success,,,,", "line 6: there is no episode '0123456789abcdef'"),
        ("../../x,success,,,,", "line 7: there is no episode '../../x'"),
        (f"{a},success,,", "line 8: it has 4 cells where the first line has 6"),
    ]
    rows += [(f"{EpisodeStore(root).ids()[0]},,,perhaps,,", "line 9: episode")]
    header = "episode_id,success,failure_mode,excluded,weight,note\n"
    assert label(root, header + "\n".join(row for row, _ in rows)) == 3
    captured = capsys.readouterr()
    for _, sentence in rows:
        assert f"refused: {sentence}" in captured.out
    assert "8 rows of" in captured.err
    assert not (root / "audits.sqlite").exists()


@pytest.mark.parametrize(
    ("column", "cell"),
    [("weight", "nan"), ("weight", "-1"), ("weight", "1e999"), ("weight", "much"), ("excluded", "2")],
)
def test_a_number_or_flag_that_is_none_is_refused(
    root: Path, column: str, cell: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert label(root, f"episode_id,{column}\n{EpisodeStore(root).ids()[0]},{cell}\n") == 3
    assert f"refused: line 2: {column} is {cell!r}; it may be" in capsys.readouterr().out
    assert not (root / "audits.sqlite").exists()


def test_a_table_from_a_spreadsheet_is_read(root: Path) -> None:
    a, b, _ = EpisodeStore(root).ids()
    assert label(root, b"\xef\xbb\xbfepisode_id;success;note\r\n" + f"{a};TRUE;a, b\r\n;;\r\n{b};;\r\n".encode()) == 0
    assert decided(root) == {a: {"success": "success", "note": "a, b"}}


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        (b"episode,success\n", 2, "has the column 'episode'"),
        (b"", 2, "its first line names episode_id"),
        (b"success,note\n", 2, "its first line names episode_id"),
        (b"episode_id,note,note\n", 2, "each once"),
        (b"episode_id,note\nx,\xff\n", 3, "is no CSV text"),
        (b'episode_id,note\nx,"open\n', 3, "is no CSV text"),
    ],
)
def test_what_is_no_table_is_refused(
    root: Path, text: bytes, code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert label(root, text) == code
    assert said in capsys.readouterr().err
    assert not (root / "audits.sqlite").exists()


def test_a_table_that_is_not_there_is_a_usage_error(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["label", "episodes", str(root / "none.csv"), "--root", str(root)]) == 2
    assert "check the path of the table" in capsys.readouterr().err
