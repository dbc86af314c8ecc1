"""The page Quality: the worst first, what shows it, and one key that takes what is suggested."""

from __future__ import annotations

from pathlib import Path

import pytest
from app_pages import events, log_of, opened, press, served
from app_workspace import build


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    build(tmp_path, episodes=4)
    return served(tmp_path, monkeypatch)


def test_the_worst_episode_comes_first_with_what_shows_it(root: Path) -> None:
    app = opened("quality")
    shown = app.dataframe[0].value
    assert shown["suggested"].to_list() == ["exclude", "weight 0.5", "keep", "keep"]
    assert shown["reason"].to_list()[:2] == ["camera wrist is blank", "the wrench never changes"]
    (finding,) = app.radio
    assert "wrist is blank" in finding.options[0]
    assert app.dataframe[1].value[["camera", "blank_share"]].values.tolist() == [["wrist", 1.0]]
    app = press(app, "j")
    assert app.session_state["t"] == 3
    assert app.radio[0].options == ["the wrench never changes"]
    assert app.button(key="key-a").label == "Accept: weight 0.5"
    app = press(press(app, "j"), "j")
    assert app.button(key="key-a").disabled
    assert not app.radio


def test_a_suggestion_is_accepted_or_refused_and_the_next_open_one_follows(root: Path) -> None:
    app = opened("quality")
    first = app.session_state["episode"]
    app = press(app, "a")
    second = app.session_state["episode"]
    assert second != first
    assert events(root) == [("episode.exclude", {"excluded": True})]
    app = press(app, "x")
    assert events(root)[1:] == [("episode.weight", {"weight": 1.0})]
    assert app.dataframe[0].value["decided"].to_list() == ["excluded", "weight 1", "", ""]
    assert app.session_state["episode"] == second
    event = log_of(root).events()[0]
    assert (event.item, event.by) == (first, "Ada")
    assert event.shown["suggested"] == "exclude"
    assert event.shown["why"] == ["camera wrist is blank"]
    assert event.shown["quality"] == "q1"
    press(press(app, "z"), "z")
    assert [kind for kind, _ in events(root)[2:]] == ["undo", "undo"]
