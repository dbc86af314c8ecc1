"""The fold of decisions, undo, and freezes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audits.events import Event
from audits.freeze import freeze, latest, list_freezes, load
from audits.kinds import check
from audits.log import AuditLog
from audits.state import AuditState, fold
from episodes.errors import DataRefused, UsageError

DECISIONS = [
    ("episode.outcome", "e1", {"success": "failure"}),
    ("episode.outcome", "e1", {"success": "success"}),
    ("episode.failure_mode", "e1", {"mode": "jam"}),
    ("episode.exclude", "e2", {"excluded": True}),
    ("episode.weight", "e2", {"weight": 0.5}),
    ("label.verdict", "e1:2-5", {"verdict": "reject"}),
    ("label.edit", "e1:2-5", {"start": 3, "stop": 6}),
    ("label.create", "e1:7-9", {"episode_id": "e1", "start": 7, "stop": 9}),
    ("pair.verdict", "e1:2>e2:4", {"verdict": "valid"}),
    ("episode.progress", "e1", {"start": 0, "stop": 4, "mark": "stagnant"}),
]
OF_TWO = [
    ("label.split", "e1:2-5", {"episode_id": "e1", "start": 2, "at": 4, "stop": 5}),
    ("label.merge", "e1:2-5", {"start": 2, "stop": 9, "other": "e1:7-9"}),
]
decisions = st.lists(st.sampled_from(DECISIONS + OF_TWO), max_size=12)


def event(seq: int, kind: str, item: str, value: dict[str, object]) -> Event:
    return Event(seq=seq, kind=kind, item=item, by="ada", at="", seconds=0, value=value, shown={})


def sequence(chosen: list[tuple[str, str, dict[str, object]]]) -> list[Event]:
    return [event(seq, *decision) for seq, decision in enumerate(chosen, start=1)]


def undo(events: list[Event], seq: int) -> list[Event]:
    return [*events, event(len(events) + 1, "undo", events[seq - 1].item, {"seq": seq})]


@given(decisions, decisions, st.randoms())
def test_any_decisions_and_their_undos_in_any_order_leave_nothing(before, more, random) -> None:  # type: ignore[no-untyped-def]
    events = sequence(before + more)
    added = list(range(len(before) + 1, len(events) + 1))
    random.shuffle(added)
    for seq in added:
        events = undo(events, seq)
    assert fold(events) == fold(sequence(before))


def test_a_label_is_cut_in_two_and_two_become_one_by_one_decision_each() -> None:
    cut = ("label.split", "e1:2-8", {"episode_id": "e1", "start": 2, "at": 5, "stop": 8})
    join = ("label.merge", "e1:2-8", {"start": 2, "stop": 8, "other": "e1:5-8"})
    first = {"start": 2, "stop": 5, "verdict": "accept"}
    second = {"episode_id": "e1", "start": 5, "stop": 8, "origin": "human", "verdict": "accept"}
    assert fold(sequence([cut])).labels == {"e1:2-8": first, "e1:5-8": second}
    gone = second | {"verdict": "reject", "merged_into": "e1:2-8"}
    assert fold(sequence([cut, join])).labels == {"e1:2-8": first | {"stop": 8}, "e1:5-8": gone}
    with pytest.raises(UsageError, match="leaves one part empty"):
        check(cut[0], cut[1], {**cut[2], "at": 8})


@given(decisions.filter(bool), st.integers(0, 6), st.data())
def test_undoing_undos_alternates(chosen, times, data) -> None:  # type: ignore[no-untyped-def]
    events = sequence(chosen)
    seq = data.draw(st.integers(1, len(events)))
    without = fold([e for e in events if e.seq != seq])
    states = [fold(events), without]
    for step in range(1, times + 1):
        events = undo(events, seq)
        seq = len(events)
        assert fold(events) == states[step % 2]


def test_undoing_in_reverse_retraces_every_state() -> None:
    events, history = [], [AuditState()]
    for seq, decision in enumerate(DECISIONS, start=1):
        events.append(event(seq, *decision))
        history.append(fold(events))
    for seq in range(len(DECISIONS), 0, -1):
        events = undo(events, seq)
        assert fold(events) == history[seq - 1]


def test_what_each_decision_means() -> None:
    state = fold(sequence(DECISIONS))
    assert state.progress == {"e1": [(0, 4, "stagnant")]}
    assert state.episodes == {
        "e1": {"success": "success", "failure_mode": "jam"},
        "e2": {"excluded": True, "weight": 0.5},
    }
    assert state.labels["e1:2-5"] == {"verdict": "reject", "start": 3, "stop": 6}
    assert state.labels["e1:7-9"] == {
        "episode_id": "e1",
        "start": 7,
        "stop": 9,
        "origin": "human",
        "verdict": "accept",
    }
    assert state.pairs == {"e1:2>e2:4": {"verdict": "valid"}}


def test_a_corrected_interval_counts_as_accepted_until_judged() -> None:
    edit = ("label.edit", "e1:2-5", {"start": 3, "stop": 6})
    assert fold(sequence([edit])).labels["e1:2-5"]["verdict"] == "accept"
    assert fold(sequence([edit, ("label.verdict", "e1:2-5", {"verdict": "unsure"})])).labels["e1:2-5"] == {
        "start": 3,
        "stop": 6,
        "verdict": "unsure",
    }


@pytest.fixture
def log(tmp_path: Path) -> AuditLog:
    return AuditLog(tmp_path / "audits.sqlite")


def decide(log: AuditLog, *chosen: tuple[str, str, dict[str, object]]) -> None:
    for kind, item, value in chosen:
        log.append(kind, item, by="ada", value=value, shown={}, seconds=0)


def test_a_freeze_keeps_its_decisions_for_good(log: AuditLog) -> None:
    decide(log, *DECISIONS)
    head = log.head()
    made = freeze(log, "labels", "first", by="ada")
    assert (made.head_seq, made.head_hash) == head
    assert made.count == len(made.decisions) == 2
    decide(log, ("label.verdict", "e9:0-4", {"verdict": "accept"}))
    log.undo(6, by="ada")
    assert load(log, "labels", "first") == made == latest(log, "labels")
    assert log.verify() == len(DECISIONS) + 3


def test_the_latest_freeze_of_a_kind(log: AuditLog) -> None:
    assert latest(log, "labels") is None
    freeze(log, "labels", "demo", by="ada")
    freeze(log, "episodes", "demo", by="ada")
    decide(log, ("label.verdict", "e9:0-4", {"verdict": "accept"}))
    freeze(log, "labels", "second", by="ada")
    assert [(made.kind, made.name, made.count) for made in list_freezes(log)] == [
        ("labels", "demo", 0),
        ("episodes", "demo", 0),
        ("labels", "second", 1),
    ]
    assert latest(log, "labels").name == "second"  # type: ignore[union-attr]
    assert latest(log, "episodes").name == "demo"  # type: ignore[union-attr]


def test_equal_decisions_have_equal_hashes(log: AuditLog) -> None:
    decide(log, *DECISIONS)
    first = freeze(log, "pairs", "one", by="ada")
    second = freeze(log, "pairs", "two", by="bo")
    decide(log, ("pair.verdict", "e1:2>e2:4", {"verdict": "unsafe"}))
    third = freeze(log, "pairs", "three", by="bo")
    assert first.hash == second.hash != third.hash


def test_a_name_is_used_once_even_by_two_at_once(log: AuditLog) -> None:
    def attempt(who: str) -> str:
        try:
            return freeze(log, "labels", "week-1", by=who).name
        except DataRefused as error:
            return str(error)

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(attempt, ["a", "b", "c", "d"]))
    assert results.count("week-1") == 1
    assert all("choose another name" in result for result in results if result != "week-1")


def test_what_cannot_be_frozen_or_undone(log: AuditLog) -> None:
    with pytest.raises(UsageError, match="no name for a freeze"):
        freeze(log, "labels", "../x", by="ada")
    with pytest.raises(UsageError, match="cannot be frozen"):
        freeze(log, "moods", "x", by="ada")
    with pytest.raises(UsageError, match="there are: none"):
        load(log, "labels", "x")
    freeze(log, "labels", "x", by="ada")
    with pytest.raises(UsageError, match="never changes"):
        log.undo(1, by="ada")
