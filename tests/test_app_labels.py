"""Labels and marks, one key each: judged, moved, cut, joined, added, taken back."""

from __future__ import annotations

from pathlib import Path

import pytest
from app_pages import events, log_of, opened, press, served, stuck_episode, texts
from app_workspace import MODEL, STUCK, TASK, build

from episodes.store import EpisodeStore
from labeling_app.data import Library


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    build(tmp_path, episodes=4)
    return served(tmp_path, monkeypatch)


def test_a_label_is_corrected_by_keys_judged_and_undone(root: Path) -> None:
    app = opened("trigger_labels")
    item = app.session_state["label"]
    start, stop = (int(end) for end in item.partition(":")[2].split("-"))
    for shortcut in ("w", "w", "p", "Enter", "a"):
        app = press(app, shortcut)
    assert events(root) == [
        ("label.edit", {"start": start + 2, "stop": stop + 1}),
        ("label.verdict", {"verdict": "accept"}),
    ]
    assert app.session_state["label"] != item
    app = press(app, "z")
    assert app.session_state["label"] == item
    app = press(press(app, "q"), "Escape")
    assert "draft" not in app.session_state
    assert len(events(root)) == 3


def test_a_verdict_saves_the_draft_first_and_records_what_was_shown(root: Path) -> None:
    app = opened("trigger_labels")
    press(press(app, "o"), "u")
    kinds = [kind for kind, _ in events(root)]
    assert kinds == ["label.edit", "label.verdict"]
    event = log_of(root).events()[-1]
    assert event.by == "Ada"
    assert (event.shown["value_model"], event.shown["labels"]) == (MODEL, "d1")
    assert event.shown["miner"] == {"window": 0.3}
    assert event.shown["frame_range"] == [0, 100]
    assert event.shown["why"]


def test_a_label_is_added_where_the_rule_found_none(root: Path) -> None:
    mined = set(Library(root).labels(TASK)["episode_id"])  # type: ignore[index]
    episode_id = next(each for each in EpisodeStore(root).ids() if each not in mined)
    app = opened("trigger_labels", task=TASK, episode=episode_id, t="30")
    assert app.button(key="key-a").disabled
    app = press(app, "n")
    assert events(root) == [("label.create", {"episode_id": episode_id, "start": 30, "stop": 40})]
    assert "Steps **30 to 39**" in texts(app)
    assert "already" in texts(press(app, "n"))


def test_a_label_is_cut_at_the_cursor_and_joined_again(root: Path) -> None:
    app = opened("trigger_labels", task=TASK, episode=stuck_episode(root), t=str(STUCK[0]))
    assert app.button(key="key-s").disabled
    for _ in range(5):
        app = press(app, "Right")
    app = press(app, "s")
    (_, cut) = events(root)[-1]
    assert cut == {"episode_id": app.session_state["episode"], "start": STUCK[0], "at": STUCK[0] + 5, "stop": STUCK[1]}
    app = press(app, "m")
    assert events(root)[-1][0] == "label.merge"
    assert f"Steps **{STUCK[0]} to {STUCK[1] - 1}**" in texts(app)
    app = press(press(app, "z"), "z")
    assert [kind for kind, _ in events(root)] == ["label.split", "label.merge", "undo", "undo"]
    assert "undecided" in texts(app)


@pytest.mark.parametrize("key", ["s", "m"])
def test_moved_ends_are_saved_before_a_cut_or_a_join(root: Path, key: str) -> None:
    app = opened("trigger_labels", task=TASK, episode=stuck_episode(root), t=str(STUCK[0]))
    for shortcut in ("q", "q", "Right", "Right", "Right", key):
        app = press(app, shortcut)
    (kind, moved), (_, value) = events(root)
    assert (kind, moved) == ("label.edit", {"start": STUCK[0] - 2, "stop": STUCK[1]})
    assert value["start"] == STUCK[0] - 2


def test_the_what_if_panel_says_what_to_run_where_there_is_nothing_to_preview(root: Path) -> None:
    app = press(opened("trigger_labels"), "i")
    assert "no decided episodes" in texts(app)
    assert not press(app, "i").selectbox(key="label-episode").disabled
    assert events(root) == []


def test_progress_is_marked_over_what_the_cursor_spans(root: Path) -> None:
    app = opened("value_curves", task=TASK, episode=stuck_episode(root), t="60")
    assert app.button(key="key-2").disabled
    app = press(app, "b")
    app = press(press(app, "h"), "2")
    assert events(root) == [("episode.progress", {"start": 60, "stop": 71, "mark": "stagnant"})]
    assert app.button(key="key-2").disabled
    assert "What people saw, in 1 episode" in texts(app)
    press(app, "z")
    assert events(root)[-1] == ("undo", {"seq": 1})
