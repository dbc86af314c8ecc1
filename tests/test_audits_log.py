"""The audit log: one chain whatever happens, and what is wrong with it is named."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from audits.events import EVENT_VERSION, ROOT_HASH, canonical, chain, draft_of
from audits.leases import LEASE_S, Leases
from audits.log import AuditLog, undone
from audits.portable import export_lines, import_lines
from episodes.errors import Conflict, DataRefused, IntegrityError, UsageError


@pytest.fixture
def log(tmp_path: Path) -> AuditLog:
    return AuditLog(tmp_path / "audits.sqlite")


def note(log: AuditLog, item: str, text: str = "seen", **keywords: int) -> int:
    return log.append(
        "episode.note", item, by="ada", value={"text": text}, shown={"model": "m1"}, seconds=1.5, **keywords
    ).seq


def edit(log: AuditLog, statement: str, *values: object) -> None:
    with sqlite3.connect(log.name) as connection:
        connection.execute(statement, values)
    connection.close()


def test_an_event_comes_back_as_it_was_written(log: AuditLog) -> None:
    written = log.append(
        "label.edit",
        "aa:3-9",
        by=" Ada <b> ",
        value={"start": 4, "stop": 9},
        shown={"value_model": "h", "why": "“new”\u2028"},
        seconds=2.25,
    )
    (read,) = AuditLog(log.name).events()
    assert read == written
    assert read.by == "Ada <b>"
    assert log.head() == (1, chain(ROOT_HASH, written.body))


def test_events_are_found_by_kind_item_and_place(log: AuditLog) -> None:
    note(log, "a"), note(log, "b"), note(log, "a")
    log.append("episode.exclude", "a", by="bo", value={"excluded": True}, shown={}, seconds=0)
    assert [event.seq for event in log.events(item="a")] == [1, 3, 4]
    assert [event.seq for event in log.events(kind="episode.note", item="a", after=1)] == [3]


def test_many_decisions_are_written_in_order_or_none_is(log: AuditLog) -> None:
    drafts = [draft_of("episode.weight", item, by="ada", value={"weight": 0.5}) for item in ("a", "b", "c")]
    assert [event.seq for event in log.append_all(drafts, unchanged_since=0)] == [1, 2, 3]
    assert log.verify() == 3
    bad = draft_of("episode.weight", "d", by="ada", value={"weight": -1})
    nobody = draft_of("episode.weight", "d", by=" ", value={"weight": 1})
    for wrong in (bad, nobody):
        with pytest.raises(UsageError):
            log.append_all([*drafts, wrong])
    note(log, "b")
    with pytest.raises(DataRefused, match="ada decided about b"):
        log.append_all(drafts, unchanged_since=3)
    assert log.append_all([]) == []
    assert log.verify() == 4


def test_an_empty_log_is_sound(log: AuditLog) -> None:
    assert log.verify() == 0
    assert log.head() == (0, ROOT_HASH)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("episode.outcome", {"success": "maybe"}),
        *(("episode.weight", {"weight": weight}) for weight in (float("nan"), float("inf"), -0.5, True, "1")),
        ("episode.exclude", {"excluded": 1}),
        ("label.edit", {"start": 5, "stop": 5}),
        ("label.edit", {"start": -1, "stop": 5}),
        ("label.create", {"start": 1, "stop": 5}),
        ("episode.note", {"text": "x", "more": 1}),
        ("episode.praise", {"text": "x"}),
        ("freeze", {}),
    ],
)
def test_what_is_no_decision_is_refused_and_not_written(log: AuditLog, kind: str, value: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        log.append(kind, "a", by="ada", value=value, shown={}, seconds=0)
    assert log.head()[0] == 0


def test_a_decision_needs_a_name_and_json(log: AuditLog) -> None:
    with pytest.raises(UsageError, match="needs the name"):
        log.append("episode.note", "a", by="  ", value={"text": "x"}, shown={}, seconds=0)
    for shown in ({"x": float("inf")}, {"x": b"raw"}, {"x": "\ud800"}):
        with pytest.raises(DataRefused, match="JSON cannot"):
            log.append("episode.note", "a", by="ada", value={"text": "x"}, shown=shown, seconds=0)
    assert log.head()[0] == 0


@pytest.mark.parametrize("bad", [1, 3, 5])
@pytest.mark.parametrize("column", ["body", "hash"])
def test_one_changed_character_is_named(log: AuditLog, bad: int, column: str) -> None:
    for index in range(5):
        note(log, f"e{index}", text="seen")
    edit(log, f"UPDATE events SET {column} = replace({column}, substr({column}, 20, 1), 'Z') WHERE seq = ?", bad)
    with pytest.raises(IntegrityError, match=f"event {bad} "):
        log.verify()


def test_bytes_that_are_no_text_are_named(log: AuditLog) -> None:
    note(log, "a"), note(log, "b")
    edit(log, "UPDATE events SET body = CAST(x'ff' || substr(CAST(body AS BLOB), 2) AS TEXT) WHERE seq = 2")
    with pytest.raises(IntegrityError, match="event 2 "):
        log.verify()


def test_a_missing_or_swapped_event_is_named(log: AuditLog) -> None:
    for index in range(4):
        note(log, f"e{index}")
    edit(log, "DELETE FROM events WHERE seq = 2")
    with pytest.raises(IntegrityError, match=r"event 2 .* missing"):
        log.verify()


def test_a_cut_tail_shows_against_a_noted_head(log: AuditLog) -> None:
    note(log, "a"), note(log, "b")
    head = log.head()
    assert log.verify(head=head) == 2
    edit(log, "DELETE FROM events WHERE seq = 2")
    assert log.verify() == 1
    with pytest.raises(IntegrityError, match="ends at event 1, but event 2 was noted"):
        log.verify(head=head)
    note(log, "c")
    with pytest.raises(IntegrityError, match=r"event 2 .* not the one that was noted"):
        log.verify(head=head)


def test_a_newer_event_is_refused(log: AuditLog) -> None:
    body = canonical({**dict.fromkeys(("kind", "item", "by", "at"), ""), "seq": 1, "version": EVENT_VERSION + 1})
    edit(log, "INSERT INTO events VALUES (1, ?, ?)", body, chain(ROOT_HASH, body))
    with pytest.raises(DataRefused, match="update Regrasp"):
        log.events()


def test_threads_and_logs_make_one_chain(log: AuditLog) -> None:
    logs = [log, AuditLog(log.name)]
    with ThreadPoolExecutor(8) as pool:
        seqs = list(pool.map(lambda index: note(logs[index % 2], f"e{index}"), range(60)))
    assert sorted(seqs) == list(range(1, 61))
    assert log.verify() == 60


_WRITER = """
import sys
from audits.leases import LEASE_S, Leases
from audits.log import AuditLog, undone
log = AuditLog(sys.argv[1])
for index in range(40):
    log.append("episode.note", f"{sys.argv[2]}-{index}", by=sys.argv[2], value={"text": "x"}, shown={}, seconds=0)
"""


def test_processes_that_create_and_write_together_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "audits.sqlite"
    writers = [subprocess.Popen([sys.executable, "-c", _WRITER, str(path), name]) for name in ("ada", "bo", "cy")]
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    log = AuditLog(path)
    assert log.verify() == 120
    assert len({event.item for event in log.events()}) == 120


def test_a_stale_screen_does_not_overwrite(log: AuditLog) -> None:
    note(log, "a")
    seen = log.head()[0]
    note(log, "b", unchanged_since=seen)
    note(log, "a", unchanged_since=seen)
    with pytest.raises(DataRefused, match="ada decided about a while you looked"):
        note(log, "a", unchanged_since=seen)


JOINED = ("label.merge", "e:3-9", {"start": 3, "stop": 20, "other": "e:12-20"})
CUT = ("label.split", "e:3-20", {"episode_id": "e", "start": 3, "at": 12, "stop": 20})


@pytest.mark.parametrize("whole", [JOINED, CUT])
def test_a_decision_about_two_labels_is_overtaken_on_either_and_overtakes_both(
    log: AuditLog, whole: tuple[str, str, dict[str, object]]
) -> None:
    def decide(kind: str, item: str, value: dict[str, object], by: str, seen: int) -> int:
        return log.append(kind, item, by=by, value=value, shown={}, seconds=0, unchanged_since=seen).seq

    other = ("label.verdict", "e:12-20", {"verdict": "accept"})
    seen = decide(*other, "bo", 0)
    with pytest.raises(Conflict, match="bo decided about e:12-20"):
        decide(*whole, "ada", 0)
    made = decide(*whole, "ada", seen)
    with pytest.raises(Conflict, match="ada decided about e:12-20"):
        decide(*other, "bo", seen)
    log.undo(made, by="ada")
    with pytest.raises(Conflict, match="ada decided about e:12-20"):
        decide(*other, "bo", made)


def test_undo_is_checked(log: AuditLog) -> None:
    first = note(log, "a")
    undo = log.undo(first, by="bo")
    assert (undo.kind, undo.item, undo.value) == ("undo", "a", {"seq": first})
    with pytest.raises(UsageError, match="already undone"):
        log.undo(first, by="bo")
    log.undo(undo.seq, by="bo")
    log.undo(first, by="bo")
    with pytest.raises(UsageError, match="no event 9"):
        log.undo(9, by="bo")


def test_a_deleted_log_is_an_error_and_no_empty_log(log: AuditLog) -> None:
    note(log, "a")
    Path(log.name).unlink()
    with pytest.raises(DataRefused, match="check that it is there"):
        log.events()
    with pytest.raises(DataRefused, match="check that it is there"):
        note(log, "b")
    assert not Path(log.name).exists()


def test_an_empty_file_is_no_empty_log(tmp_path: Path) -> None:
    (tmp_path / "audits.sqlite").touch()
    with pytest.raises(IntegrityError, match="empty file; remove it"):
        AuditLog(tmp_path / "audits.sqlite")
    with pytest.raises(IntegrityError, match="is gone"):
        AuditLog(tmp_path / "gone.sqlite", create=False)
    assert [path.name for path in tmp_path.iterdir()] == ["audits.sqlite"]


def test_who_comes_second_opens_the_log_of_the_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "audits.sqlite"
    first = AuditLog(path)
    note(first, "a")
    monkeypatch.setattr(Path, "exists", lambda self: self.name != path.name)  # as it was when the second one looked
    assert note(AuditLog(path), "b") == 2
    monkeypatch.undo()
    assert {found.name for found in tmp_path.glob("*.tmp")} == set()


def test_a_locked_log_says_so(log: AuditLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("audits.database.BUSY_TIMEOUT_S", 0.05)
    holder = sqlite3.connect(log.name, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    with pytest.raises(DataRefused, match="locked by another program"):
        note(log, "a")
    holder.close()


def test_a_foreign_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.sqlite").write_bytes(b"no database at all" * 100)
    with pytest.raises(IntegrityError, match="damaged"):
        AuditLog(tmp_path / "x.sqlite")
    with pytest.raises(DataRefused, match="cannot be used"):
        AuditLog(tmp_path / "nowhere" / "audits.sqlite")
    with pytest.raises(UsageError, match="postgresql://"):
        AuditLog("mysql://host/labels")


def test_an_export_continues_a_log_and_nothing_else(log: AuditLog, tmp_path: Path) -> None:
    note(log, "a", text="line\u2028break\x00"), note(log, "b")
    assert export_lines(log, tmp_path / "log.jsonl") == 2
    copy = AuditLog(tmp_path / "copy.sqlite")
    assert import_lines(copy, tmp_path / "log.jsonl") == 2
    assert import_lines(copy, tmp_path / "log.jsonl") == 0
    assert copy.events() == log.events()
    assert copy.verify() == 2
    note(copy, "c")
    with pytest.raises(DataRefused, match="other decisions"):
        import_lines(copy, tmp_path / "log.jsonl")


def test_a_changed_export_is_refused_whole(log: AuditLog, tmp_path: Path) -> None:
    for index in range(3):
        note(log, f"e{index}")
    export_lines(log, path := tmp_path / "log.jsonl")
    path.write_text(path.read_text().replace('"e1"', '"e7"'))
    copy = AuditLog(tmp_path / "copy.sqlite")
    with pytest.raises(IntegrityError, match="line 2 "):
        import_lines(copy, path)
    assert copy.head()[0] == 0


def test_a_lease_moves_along_with_its_person_and_ends(log: AuditLog) -> None:
    leases = Leases(log.database)
    assert leases.take("a", "ada", now=0.0).until == LEASE_S
    assert leases.take("a", "bo", now=1.0).by == "ada"
    assert leases.take("a", "ada", now=60.0).until == 60 + LEASE_S
    leases.take("b", "ada", now=61.0)
    assert leases.take("a", "bo", now=62.0).by == "bo"
    assert {item: lease.by for item, lease in leases.held(now=63.0).items()} == {"a": "bo", "b": "ada"}
    assert leases.take("b", "cy", now=61.1 + LEASE_S).by == "cy"
    assert set(Leases(log.database).held(now=62.0 + LEASE_S)) == {"b"}
    assert log.verify() == 0


def test_leases_go_on_beside_a_log_that_was_imported_again(log: AuditLog) -> None:
    leases = Leases(log.database)
    assert leases.held() == {}
    leases.take("a", "ada")
    for path in Path(log.name).parent.glob("audits.sqlite*"):
        path.unlink()
    AuditLog(log.name)
    assert leases.held() == {}
    assert leases.take("a", "bo").by == "bo"


def test_nothing_goes_on_top_of_what_a_newer_version_wrote(log: AuditLog) -> None:
    note(log, "a")
    body = canonical({**dict.fromkeys(("kind", "item", "by", "at"), ""), "seq": 2, "version": EVENT_VERSION + 1})
    edit(log, "INSERT INTO events VALUES (2, ?, ?)", body, chain(log.head()[1], body))
    with pytest.raises(DataRefused, match="update Regrasp"):
        note(log, "b")
    assert log.head()[0] == 2


def test_what_is_asked_for_is_found_whatever_characters_it_has(log: AuditLog) -> None:
    items = ['a"b', "100%_", "ü\\/", 'x","kind":"undo']
    for item in items:
        note(log, item, text='"kind":"undo","item":"zz"')
    assert [[event.item for event in log.events(item=item)] for item in items] == [[item] for item in items]
    assert log.events(kind="undo") == log.events(item="zz") == []


def test_any_decision_of_anybody_is_taken_back_after_a_restart(log: AuditLog) -> None:
    drafts = [draft_of("episode.note", f"e{n % 7}", by="ada", value={"text": str(n)}) for n in range(300)]
    log.append_all(drafts)
    log.close()
    again = AuditLog(log.name, create=False)
    undo = again.undo(3, by="bo")
    assert (undo.seq, undo.item) == (301, "e2")
    assert undone(again.events()) == {3}
    assert again.verify() == 301
