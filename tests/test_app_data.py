"""What the app reads and how it combines it with decisions."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from app_workspace import MODEL, STEPS, STUCK, TASK, build
from hypothesis import given
from hypothesis import strategies as st

from episodes.errors import DataRefused, UsageError
from labeling_app import command, data, desk, known, what_if
from labeling_app.data import Library
from labeling_app.drafts import boxed, hold, next_undecided
from labeling_app.known import painted
from labeling_app.labels import Label, labels_of, positives
from labeling_app.marking import compared
from labeling_app.pair_scores import scores
from labeling_app.pairs import pairs_of
from labeling_app.seen import at_step, shown
from models.labelling import label_id


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    root = tmp_path_factory.mktemp("data")
    return root, build(root, episodes=4)


def test_decisions_lie_over_what_was_recorded(workspace: tuple[Path, list[str]]) -> None:
    root, ids = workspace
    decided = {ids[1]: {"success": "success", "note": "a note", "weight": 2.0}, "0" * 16: {"success": "failure"}}
    table = Library(root).episodes(TASK, decided)
    rows = {row["episode_id"]: row for row in table.to_dicts()}
    assert set(rows) == set(ids)
    assert (rows[ids[1]]["success"], rows[ids[1]]["recorded"], rows[ids[1]]["note"]) == ("success", "failure", "a note")
    assert (rows[ids[3]]["success"], rows[ids[3]]["length"], rows[ids[3]]["excluded"]) == ("failure", STEPS, False)


def test_curves_of_all_sessions_come_with_their_model(workspace: tuple[Path, list[str]]) -> None:
    root, ids = workspace
    curves = Library(root).curves(TASK)
    assert curves is not None
    assert len(curves) == len(ids) * STEPS
    assert set(curves["model_hash"]) == {MODEL}


def test_the_curves_of_another_model_take_the_place_of_the_old_ones(tmp_path: Path) -> None:
    build(tmp_path, episodes=2)
    library, directory = Library(tmp_path), tmp_path / "derived/values/curves/sim-a"
    assert set(library.curves(TASK)["model_hash"]) == {MODEL}  # type: ignore[index]
    kept = len(library._tables)
    (directory / f"{MODEL}.parquet").rename(directory / "newer.parquet")
    assert set(library.curves(TASK)["model_hash"]) == {"newer"}  # type: ignore[index]
    assert len(library._tables) == kept


def test_only_so_many_tables_are_kept_and_the_one_read_longest_ago_goes(
    workspace: tuple[Path, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data, "KEPT", 2)
    library = Library(workspace[0])
    labels, terms = library.labels(TASK), library.label_terms(TASK)
    assert library.labels(TASK) is labels
    assert library.pairs(TASK) is not None
    assert len(library._tables) == 2
    assert library.labels(TASK) is labels
    assert library.label_terms(TASK) is not terms


def test_a_table_is_read_again_when_it_changed(tmp_path: Path) -> None:
    build(tmp_path, episodes=2)
    library, path = Library(tmp_path), tmp_path / "derived/labels/stagnation" / TASK / "labels.parquet"
    first = library.labels(TASK)
    assert library.labels(TASK) is first
    assert first is not None
    first.head(1).write_parquet(path)
    assert len(library.labels(TASK)) == 1  # type: ignore[arg-type]


def test_nothing_derived_is_none_and_damage_is_one_sentence(tmp_path: Path) -> None:
    build(tmp_path, episodes=2, derived=False)
    library = Library(tmp_path)
    assert [library.curves(TASK), library.labels(TASK), library.pairs(TASK), library.triggers(TASK)] == [None] * 4
    path = tmp_path / "derived/labels/stagnation" / TASK / "labels.parquet"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"PAR1 no parquet")
    with pytest.raises(DataRefused, match="regrasp materialize"):
        library.labels(TASK)
    with pytest.raises(UsageError, match="regrasp demo"):
        Library(tmp_path / "nowhere")


def mined(*spans: tuple[int, int]) -> pl.DataFrame:
    rows = [
        {"label_id": label_id("aa", *span), "episode_id": "aa", "start": span[0], "stop": span[1], "rule": "plateau"}
        for span in spans
    ]
    return pl.DataFrame(rows).with_columns(terms=pl.lit('{"range": 0.02}'))


def test_labels_take_decisions_and_keep_their_id() -> None:
    decisions = {
        "aa:10-20": {"start": 12, "stop": 18, "verdict": "accept"},
        "aa:40-44": {"episode_id": "aa", "start": 40, "stop": 44, "origin": "human", "verdict": "accept"},
        "aa:70-75": {"verdict": "reject"},
        "bb:1-2": {"verdict": "reject"},
        "no label": {"verdict": "reject"},
    }
    found = labels_of(mined((30, 35), (10, 20)), decisions, ["aa"])
    assert [(label.start, label.stop, label.verdict, label.origin, label.edited) for label in found] == [
        (12, 18, "accept", "mined", True),
        (30, 35, "", "mined", False),
        (40, 44, "accept", "human", False),
        (70, 75, "reject", "earlier mining", False),
    ]
    assert found[0].label_id == "aa:10-20"
    assert found[0].terms == {"range": 0.02}


def test_steps_count_once_and_not_where_rejected_or_unsure() -> None:
    found = labels_of(mined((0, 10), (5, 15), (90, 200)), {"aa:90-200": {"verdict": "unsure"}}, ["aa"])
    assert positives(found, {"aa": 100}) == 15
    found = labels_of(mined((0, 10), (5, 15)), {"aa:5-15": {"verdict": "reject"}}, ["aa"])
    assert positives(found, {"aa": 100}) == 10


@given(st.integers(-50, 150), st.integers(-50, 150), st.integers(1, 100))
def test_a_draft_is_always_an_interval_of_the_episode(start: int, stop: int, length: int) -> None:
    held = hold(start, stop, length)
    assert 0 <= held[0] < held[1] <= length
    if 0 <= start < stop <= length:
        assert held == (start, stop)


@pytest.mark.parametrize(
    ("ends", "interval"),
    [
        ((9.6, 19.4), (10, 20)),
        ((19.4, 9.6), (10, 20)),
        ((-5, 3.2), (0, 4)),
        ((98, 140), (98, 100)),
        ((7.2, 7.4), (8, 9)),
    ],
)
def test_a_box_takes_the_steps_it_covers(ends: tuple[float, float], interval: tuple[int, int]) -> None:
    assert boxed(ends, 100) == interval


def test_the_next_undecided_label_goes_round() -> None:
    verdicts = ["", "accept", "", "reject"]
    labels = [Label(label_id=str(at), episode_id="aa", start=0, stop=1, verdict=v) for at, v in enumerate(verdicts)]
    assert [next_undecided(labels, place) for place in (-1, 0, 2, 3)] == [0, 2, 0, 0]
    assert next_undecided(labels[1:2], 0) is None


def test_terms_are_those_of_the_step_and_safe_to_show(workspace: tuple[Path, list[str]]) -> None:
    root, ids = workspace
    terms = Library(root).label_terms(TASK)
    assert at_step(terms, ids[1], STUCK[0])["plateau"] is True
    assert at_step(terms, ids[0], STUCK[0])["plateau"] is False
    assert at_step(terms, "unknown", 3) == at_step(None, ids[0], 3) == {}
    assert [shown(value) for value in (None, True, 0.25, "<b>")] == ["", "*yes", "0.25", "<b>"]


def test_the_app_serves_this_machine_alone(tmp_path: Path) -> None:
    arguments = command(tmp_path, 8600)
    pairs = dict(pairwise(arguments))
    assert pairs["--server.address"] == "127.0.0.1"
    assert pairs["--server.port"] == "8600"
    assert pairs["--server.headless"] == "true"
    assert pairs["--browser.gatherUsageStats"] == "false"
    assert arguments[arguments.index("--") + 1 :] == ["--root", str(tmp_path)]


def test_a_later_mark_lies_over_the_earlier_and_none_takes_away() -> None:
    given = [(0, 10, "progress"), (4, 8, "stagnant"), (6, 7, "none"), (20, 22, "regress")]
    assert painted(given) == [
        (0, 4, "progress"),
        (4, 6, "stagnant"),
        (7, 8, "stagnant"),
        (8, 10, "progress"),
        (20, 22, "regress"),
    ]
    assert painted([]) == []


def test_the_slope_is_over_the_seconds_that_were_recorded_and_a_last_step_has_none() -> None:
    value, uneven = {"e": np.linspace(0, 1, 11)}, {"e": np.cumsum([0, *[0.1] * 5, *[0.3] * 5])}
    marks = {"e": [(0, 10, "progress"), (10, 11, "stagnant")]}
    rose, last = compared(marks, value, {}, {}, uneven)
    assert rose.slope_per_s == pytest.approx(1 / 2)
    assert np.isnan(last.slope_per_s)


def test_a_number_that_is_0_can_be_moved() -> None:
    assert [what_if._step(value) for value in (0.0, 0.03, 20.0)] == pytest.approx([0.5, 0.005, 5.0])


def test_what_is_drawn_inside_a_page_shows_the_same_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    state: dict[str, int] = {"moment": 1}
    monkeypatch.setattr(desk.st, "session_state", state)
    seen = []

    def outer() -> None:
        seen.append(state.get("moment"))
        state["moment"] = 2
        desk.explained(lambda: seen.append(state.get("moment")))()

    desk.explained(outer)()
    assert seen == [None, 2]


def test_previews_are_made_anew_where_trigger_curves_changed(tmp_path: Path) -> None:
    build(tmp_path, episodes=4)
    library = Library(tmp_path)
    before = known.stamp(library, TASK)
    (tmp_path / "derived/triggers/curves" / library.store.sessions(TASK)[0] / "newer.parquet").touch()
    assert known.stamp(library, TASK) != before


def test_marks_are_held_against_labels_alarms_and_the_slope_of_v() -> None:
    value = np.concatenate([np.linspace(0, 1, 11), np.full(10, 1.0)])
    labelled = np.arange(21) >= 16
    marks = {"e": [(0, 10, "progress"), (10, 20, "stagnant")], "no curve": [(0, 9, "regress")]}
    rose, stood = compared(marks, {"e": value}, {"e": labelled}, {}, {"e": np.arange(21) / 10})
    assert (rose.mark, rose.steps, rose.labelled, rose.slope_per_s) == ("progress", 10, 0.0, pytest.approx(1.0))
    assert (stood.labelled, stood.slope_per_s) == (pytest.approx(0.4), pytest.approx(0.0))
    assert np.isnan(stood.alarmed)


def test_pairs_are_scored_at_the_rank_they_were_shown_at() -> None:
    verdicts = {"a:1>b:2": "unsafe", "a:1>c:2": "valid", "d:1>b:2": "valid"}
    decided = {item: {"verdict": verdict} for item, verdict in verdicts.items()}
    first, ndcg, unsafe = scores(decided, {"a:1>c:2": 2})
    assert (first.value, first.n) == (0.5, 2)
    assert (ndcg.value, ndcg.n) == (pytest.approx((1 / math.log2(3) + 1) / 2), 2)
    assert (unsafe.value, unsafe.n) == (pytest.approx(1 / 3), 3)
    assert [math.isnan(score.value) for score in scores({}, {})] == [True] * 3


def test_a_pair_that_was_taken_out_of_the_memory_is_shown_as_such(workspace: tuple[Path, list[str]]) -> None:
    table = Library(workspace[0]).pairs(TASK)
    assert table is not None
    decided = {"q:5>g:9": {"verdict": "unsafe"}, "q:5>h:9": {"verdict": "valid"}, "no pair": {"verdict": "unsafe"}}
    *kept, out = pairs_of(table, decided, ["g:3>g:9"])
    assert [pair.out for pair in kept] == [False] * len(table)
    assert (out.pair_id, out.goal_t, out.verdict, out.out) == ("q:5>g:9", 9, "unsafe", True)
