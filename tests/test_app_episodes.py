"""The page Episodes: which are listed, and one decision about all of them."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from app_pages import drawn, events, log_of, opened, press, served, texts
from app_workspace import SESSIONS, TASK, build

from assets.episodes import ATTRIBUTES
from assets.links import APP, PAGES, link_of
from assets.stages import STAGE
from episodes.errors import DataRefused
from episodes.store import EpisodeStore
from labeling_app import app
from labeling_app.data import Library
from labeling_app.effect import compared
from labeling_app.filters import FILE, Filter, from_address, save, saved
from labeling_app.links import ASSETS, asset_link


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    build(tmp_path, episodes=6)
    return served(tmp_path, monkeypatch)


def test_a_filter_is_an_address_and_is_kept_under_a_name(tmp_path: Path) -> None:
    wanted = Filter(outcome="failure", words="50% <b>")
    assert from_address({**wanted.asked(), "task": "x", "t": "3"}) == wanted
    assert saved(tmp_path) == {}
    save(tmp_path, "jams", wanted)
    save(tmp_path, "open", Filter(decided="no"))
    assert saved(tmp_path) == {"jams": wanted, "open": Filter(decided="no")}
    save(tmp_path, "jams", Filter())
    assert set(saved(tmp_path)) == {"open"}
    (tmp_path / FILE).write_text("[1]")
    with pytest.raises(DataRefused, match="holds no filters"):
        saved(tmp_path)


def test_each_part_of_a_filter_leaves_out_what_does_not_fit(root: Path) -> None:
    ids = Library(root).episodes(TASK, {})["episode_id"].to_list()
    said = {ids[0]: {"note": "Slipped [twice"}, ids[1]: {"excluded": True, "success": "unknown"}}
    table, given = Library(root).episodes(TASK, said), frozenset({ids[1]})

    def listed(**parts: str) -> list[str]:
        return Filter(**parts).of(table, given)["episode_id"].to_list()

    assert listed() == ids
    assert listed(words="slipped [TWICE") == [ids[0]]
    assert listed(outcome="unknown") == listed(decided="yes") == listed(out="yes") == [ids[1]]
    assert set(listed(session=SESSIONS[0])) | set(listed(session=SESSIONS[1])) == set(ids)
    assert listed(words=ids[2][:9], collection="rollout") == [ids[2]]
    assert listed(words="nothing like it") == []
    assert listed(damaged="yes") == []
    assert listed(damaged="no") == ids


def test_what_is_listed_is_decided_together_and_each_is_taken_back_by_itself(root: Path) -> None:
    app = opened("episodes", outcome="failure")
    assert len(app.dataframe[0].value) == 3
    app.selectbox(key="bulk-choice").set_value("Mode jam")
    app = drawn(app.run())
    assert app.button(key="bulk").label == "Mode jam: 3 episodes"
    app = drawn(app.button(key="bulk").click().run())
    assert events(root) == [("episode.failure_mode", {"mode": "jam"})] * 3
    event = log_of(root).events()[0]
    assert event.shown["filter"] == {"outcome": "failure"}
    assert event.shown["why"] == "all that a filter lists"
    assert app.dataframe[0].value["failure_mode"].to_list() == ["jam"] * 3
    app = press(app, "z")
    assert [kind for kind, _ in events(root)].count("undo") == 1
    assert sorted(app.dataframe[0].value["failure_mode"]) == ["", "jam", "jam"]
    app = press(app, "w")
    assert len(app.dataframe[0].value) == 6
    assert "bulk" not in {button.key for button in app.button}


def test_a_decision_that_takes_an_episode_out_of_the_list_shows_the_one_at_its_place(root: Path) -> None:
    app = opened("episodes", outcome="failure")
    first, second, third = app.dataframe[0].value["episode_id"]
    app = press(app, "j")
    assert app.session_state["episode"] == second
    app = press(app, "n")
    assert app.session_state["episode"] == third
    assert not app.warning
    app = press(app, "n")
    assert app.session_state["episode"] == first, "the last of the list is decided: the one before it"
    assert not app.warning


def test_of_many_what_nobody_else_decided_is_written_and_the_rest_is_shown(root: Path) -> None:
    app = opened("episodes", outcome="failure")
    app.selectbox(key="bulk-choice").set_value("Exclude")
    app = drawn(app.run())
    first, log = app.dataframe[0].value["episode_id"][0], log_of(root)
    log.append("episode.note", first, by="Bo", value={"text": "look"}, shown={}, seconds=0)
    app = drawn(app.button(key="bulk").click().run())
    assert "Decided by somebody else" in texts(app)
    assert len(events(root)) == 1
    press(app, "t")
    assert [event.item == first for event in log.events()] == [True, False, False]


def test_a_weight_is_given_and_an_empty_list_says_so(root: Path) -> None:
    app = opened("episodes")
    app.number_input[0].set_value(2.5)
    app = drawn(app.run())
    assert events(root) == [("episode.weight", {"weight": 2.5})]
    assert app.number_input[0].value == 2.5
    app.number_input[0].set_value(2.5)
    drawn(app.run())
    assert len(events(root)) == 1, "what stands already is no decision"
    assert "No episode fits" in texts(opened("episodes", words="nothing like it"))


def test_the_list_goes_on_where_files_came_after_it_was_made(root: Path) -> None:
    store, library = EpisodeStore(root), Library(root)
    before = library.episodes(TASK, {})
    for session in SESSIONS:
        directory = root / "derived/episodes/raw" / session
        directory.mkdir(parents=True)
        rows = [store.attributes(each) for each in store.ids(session=session)[:-1]]
        told = pl.DataFrame([{name: row[name] for name in ATTRIBUTES} | {"success": "unknown"} for row in rows])
        told.write_parquet(directory / "table.parquet")
    after = Library(root).episodes(TASK, {})
    assert after["episode_id"].to_list() == before["episode_id"].to_list()
    assert (after["success"] == "unknown").sum() == len(after) - len(SESSIONS), "the list is read, not the files"
    store.discard(before["episode_id"][0])
    assert len(Library(root).episodes(TASK, {})) == len(before) - 1


def test_what_a_freeze_changes_is_counted_before_it_is_made(root: Path) -> None:
    library = Library(root)
    ids = library.episodes(TASK, {})["episode_id"].to_list()

    def change(kind: str, decisions: dict[str, dict[str, object]]) -> dict[str, int]:
        table = compared(library, TASK, kind, {}, decisions)
        return dict(zip(table[""], table["change"], strict=True))

    episodes = change("episodes", {ids[0]: {"excluded": True}, ids[1]: {"success": "unknown"}})
    assert episodes["left out"] == 1
    assert episodes["outcome unknown"] == 1
    assert episodes["training rows (steps of known outcome)"] == -200
    label = library.labels(TASK).row(0, named=True)  # type: ignore[union-attr]
    labels = change("labels", {label["label_id"]: {"verdict": "reject"}})
    assert labels["positives (steps stuck)"] == label["start"] - label["stop"]
    assert labels["labels that count"] == -1
    pair = library.pairs(TASK)["pair_id"][0]  # type: ignore[index]
    pairs = change("pairs", {pair: {"verdict": "unsafe"}})
    assert (pairs["pairs judged"], pairs["of them valid"], pairs["memory entries taken out"]) == (1, 0, 1)


def test_a_page_leads_to_its_asset_and_an_asset_to_its_page(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = EpisodeStore(root)
    assert link_of(store, STAGE["episodes/raw"], "sim-a") == f"{APP}/episodes?task={TASK}&session=sim-a"
    assert link_of(store, STAGE["labels/stagnation"], TASK) == f"{APP}/trigger_labels?task={TASK}"
    assert link_of(store, STAGE["models/policy"], TASK) is None
    assert link_of(store, STAGE["episodes/raw"], "gone") is None
    assert set(PAGES.values()) <= {path for _, _, path, _ in app.PAGES}
    assert set(ASSETS.values()) <= set(STAGE)
    monkeypatch.setenv("REGRASP_UI", "https://robots.example/ui/")
    asked = f"?view=partitions&partition={TASK}"
    assert asset_link("value_curves", TASK) == f"https://robots.example/ui/assets/values/model{asked}"
    assert asset_link("overview", TASK) is None


def test_outcome_and_failure_mode_take_one_key_each(root: Path) -> None:
    app = press(opened("episodes"), "f")
    app = press(app, "2")
    app = press(app, "e")
    assert events(root) == [
        ("episode.outcome", {"success": "failure"}),
        ("episode.failure_mode", {"mode": "jam"}),
        ("episode.exclude", {"excluded": True}),
    ]
    app = press(app, "z")
    assert events(root)[-1] == ("undo", {"seq": 3})
    assert "is **failure**" in texts(app)


def test_a_success_has_no_failure_mode(root: Path) -> None:
    app = press(opened("episodes"), "s")
    assert app.button(key="key-2").disabled
    assert not press(app, "f").button(key="key-2").disabled


def test_modes_are_a_column_once_there_is_one(root: Path) -> None:
    app = opened("episodes")
    assert "failure_mode" not in app.dataframe[0].value.columns
    assert "failure_mode" in press(press(app, "f"), "2").dataframe[0].value.columns
