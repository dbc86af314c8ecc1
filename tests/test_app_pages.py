"""Every page on a small workspace, driven through Streamlit's own test runner."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import streamlit
from app_workspace import MODEL, STUCK, TASK, build
from streamlit.testing.v1 import AppTest

from audits.freeze import freeze, latest
from audits.log import AuditLog
from episodes.store import EpisodeStore
from episodes.workspace import atomic_write
from labeling_app.data import Library
from labeling_app.listing import turned

SCREENS = ("overview", "episodes", "quality", "value_curves", "trigger_labels", "retrieval_pairs")
SCRIPT = """
from labeling_app import desk
from labeling_app.screens import {screen}

def body():
    desk.adopt_link()
    desk.sidebar()
    {screen}.page()

desk.explained(body)()
"""


@pytest.fixture(autouse=True)
def fresh_caches() -> None:
    streamlit.cache_resource.clear()


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    build(tmp_path, episodes=4)
    monkeypatch.setenv("REGRASP_ROOT", str(tmp_path))
    monkeypatch.setattr(sys, "argv", ["app"])
    return tmp_path


def opened(screen: str, **query: str) -> AppTest:
    """The page as Ada sees it."""
    app = AppTest.from_string(SCRIPT.format(screen=screen), default_timeout=30)
    app.session_state["name"] = "Ada"
    for name, value in query.items():
        app.query_params[name] = value
    return drawn(app.run())


def drawn(app: AppTest) -> AppTest:
    assert [error.message for error in app.exception] == []
    return app


def press(app: AppTest, shortcut: str) -> AppTest:
    return drawn(app.button(key=f"key-{shortcut}").click().run())


def texts(app: AppTest) -> str:
    parts = [*app.markdown, *app.caption, *app.info, *app.error, *app.warning, *app.code]
    return "\n".join(str(part.value) for part in parts)


def events(root: Path) -> list[tuple[str, dict[str, object]]]:
    return [(event.kind, dict(event.value)) for event in AuditLog(root / "audits.sqlite").events()]


@pytest.mark.parametrize("screen", SCREENS)
def test_every_page_draws(root: Path, screen: str) -> None:
    app = opened(screen)
    assert not app.error
    assert not app.warning


def test_the_sidebar_names_the_workspace_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build(tmp_path / "workspace", episodes=1, derived=False)
    monkeypatch.delenv("REGRASP_ROOT", raising=False)
    monkeypatch.setattr(sys, "argv", ["app"])
    monkeypatch.chdir(tmp_path)
    (told,) = opened("episodes").sidebar.caption
    assert told.value.lower().count("workspace") == 1


@pytest.mark.parametrize("screen", SCREENS)
def test_every_page_says_what_to_run_where_nothing_is_computed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, screen: str
) -> None:
    build(tmp_path, episodes=2, derived=False)
    monkeypatch.setenv("REGRASP_ROOT", str(tmp_path))
    if screen != "episodes":
        assert "regrasp materialize" in texts(opened(screen))


@pytest.mark.parametrize(("count", "place"), [(1, 0), (6, 5), (7, 6), (25, 0), (25, 13), (25, 24)])
def test_the_list_goes_round_and_the_selected_row_is_in_sight(count: int, place: int) -> None:
    rows = turned(count, place)
    assert sorted(rows) == list(range(count))
    assert rows.index(place) < 6
    assert [(row - rows[0]) % count for row in rows] == list(range(count))


def test_the_table_follows_the_selection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build(tmp_path, episodes=8, derived=False)
    monkeypatch.setenv("REGRASP_ROOT", str(tmp_path))
    app = opened("episodes")
    for place in range(8):
        table = app.dataframe[0].value
        first = [str(here) for here in table["here"]][:6]
        assert len(table) == 8
        assert f"▶{place + 1}" in first
        assert table["episode_id"].iloc[first.index(f"▶{place + 1}")] == app.session_state["episode"]
        if place < 7:
            app = press(app, "j")


def test_without_a_workspace_there_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGRASP_ROOT", str(tmp_path / "nowhere"))
    app = opened("episodes")
    assert len(app.error) == 1
    assert "is no workspace yet" in app.error[0].value.replace("\\", "")


def test_a_damaged_table_is_one_sentence(root: Path) -> None:
    path = root / "derived/labels/stagnation" / TASK / "labels.parquet"
    path.write_bytes(path.read_bytes()[:-9])
    app = opened("trigger_labels")
    assert len(app.error) == 1
    assert "cannot be read" in app.error[0].value


def test_a_damaged_recording_is_a_row_and_the_others_can_be_looked_at(root: Path) -> None:
    store = EpisodeStore(root)
    path = store.path(opened("episodes").session_state["episode"])
    path.write_bytes(path.read_bytes()[:500])
    streamlit.cache_resource.clear()
    app = opened("episodes")
    (error,) = app.error
    assert path.name in error.value.replace("\\", "")
    assert opened("episodes", damaged="yes").dataframe[0].value["episode_id"].to_list() == [path.stem]
    assert "1 recordings cannot be read" in texts(opened("overview"))
    app = press(app, "j")
    assert not app.error
    assert app.session_state["episode"] != path.stem


def test_a_note_that_speaks_of_damage_is_no_damaged_recording(root: Path) -> None:
    note = {"text": "damaged: gripper pad"}
    item = EpisodeStore(root).ids()[0]
    AuditLog(root / "audits.sqlite").append("episode.note", item, by="Bo", value=note, shown={}, seconds=0)
    told = texts(opened("overview"))
    assert "cannot be read" not in told
    assert "cut short" not in told


def test_a_damaged_log_is_one_sentence(root: Path) -> None:
    (root / "audits.sqlite").write_bytes(b"nothing" * 999)
    assert "is damaged" in opened("overview").error[0].value


def test_a_lost_log_is_one_sentence_and_no_page_to_decide_on(root: Path) -> None:
    log = AuditLog(root / "audits.sqlite")
    log.append("episode.note", "e", by="ann", value={"text": "x"}, shown={}, seconds=1.0)
    made = freeze(log, "episodes", "first", by="ann")
    noted = {name: getattr(made, name) for name in ("name", "kind", "hash", "head_seq", "head_hash")}
    atomic_write(root / "derived/episodes/decided" / TASK / "manifest.json", json.dumps({"freeze": noted}).encode())
    assert not opened("episodes").error
    (root / "audits.sqlite").unlink()
    fresh = AppTest.from_string(SCRIPT.format(screen="episodes"), default_timeout=30)
    streamlit.cache_resource.clear()
    (error,) = drawn(fresh.run()).error
    assert "is gone" in error.value
    assert not (root / "audits.sqlite").exists()


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
    event = AuditLog(root / "audits.sqlite").events()[0]
    assert (event.item, event.by) == (first, "Ada")
    assert event.shown["suggested"] == "exclude"
    assert event.shown["why"] == ["camera wrist is blank"]
    assert event.shown["quality"] == "q1"
    press(press(app, "z"), "z")
    assert [kind for kind, _ in events(root)[2:]] == ["undo", "undo"]


def test_a_success_has_no_failure_mode(root: Path) -> None:
    app = press(opened("episodes"), "s")
    assert app.button(key="key-2").disabled
    assert not press(app, "f").button(key="key-2").disabled


def test_nobody_decides_without_a_name(root: Path) -> None:
    app = opened("trigger_labels")
    assert not app.button(key="key-a").disabled
    del app.session_state["name"]
    assert drawn(app.run()).button(key="key-a").disabled
    assert events(root) == []


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
    event = AuditLog(root / "audits.sqlite").events()[-1]
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


def stuck_episode(root: Path) -> str:
    """The first episode with a stall."""
    labels = Library(root).labels(TASK)
    assert labels is not None
    return str(labels.filter(labels["start"] == STUCK[0])["episode_id"].sort()[0])


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


def test_a_link_leads_to_the_step_and_a_bad_one_to_the_first(root: Path) -> None:
    episode_id = sorted(path.stem for path in root.glob("episodes/*/*.h5"))[2]
    app = opened("value_curves", task=TASK, episode=episode_id, t=str(STUCK[0]))
    assert app.session_state["episode"] == episode_id
    assert app.session_state["t"] == STUCK[0]
    assert opened("value_curves", task=TASK, episode=episode_id, t="5000").session_state["t"] == 99
    app = opened("value_curves", task="nothing", episode="../../etc", t="x")
    assert app.session_state["t"] == 0
    assert "not in this list" in texts(app)
    assert "There is no task nothing in this workspace" in texts(app).replace("\\", "")


def test_undo_takes_back_what_was_decided_on_this_page(root: Path) -> None:
    press(opened("trigger_labels"), "a")
    app = press(opened("episodes"), "z")
    assert "no decision of yours on this page" in texts(app)
    assert [kind for kind, _ in events(root)] == ["label.verdict"]
    press(opened("trigger_labels"), "z")
    assert [kind for kind, _ in events(root)] == ["label.verdict", "undo"]


def test_modes_are_a_column_once_there_is_one(root: Path) -> None:
    app = opened("episodes")
    assert "failure_mode" not in app.dataframe[0].value.columns
    assert "failure_mode" in press(press(app, "f"), "2").dataframe[0].value.columns


def test_a_pair_is_judged_and_the_next_undecided_follows(root: Path) -> None:
    app = opened("retrieval_pairs")
    app = press(press(app, "1"), "4")
    assert events(root) == [("pair.verdict", {"verdict": "valid"}), ("pair.verdict", {"verdict": "unsafe"})]
    assert app.session_state["pair"] == 2


def test_a_decision_made_meanwhile_is_shown_and_not_overwritten(root: Path) -> None:
    app = opened("episodes")
    log = AuditLog(root / "audits.sqlite")
    item = app.session_state["episode"]
    log.append("episode.outcome", item, by="Bo", value={"success": "unknown"}, shown={}, seconds=0)
    app = press(app, "s")
    assert "Decided by somebody else" in texts(app)
    assert "**Bo** at" in texts(app)
    assert "not saved: outcome\\: success" in texts(app)
    assert len(events(root)) == 1
    press(app, "y")
    assert events(root)[-1] == ("episode.outcome", {"success": "success"})


def test_a_freeze_is_published_once_and_names_the_command(root: Path) -> None:
    app = press(opened("trigger_labels"), "a")
    for name, count in (("week-1", 1), ("week-1", 1), ("Week 2", 1)):
        app.text_input[-1].set_value(name)
        (button,) = [each for each in app.button if each.label.startswith("Freeze ")]
        app = drawn(button.click().run())
        assert len(events(root)) == count + 1
    assert "'Week 2' is no name for a freeze" in texts(app).replace("\\", "")
    assert app.text_input[-1].value == "Week 2", "to be put right"
    assert button.label == "Freeze 1 decision"
    made = latest(AuditLog(root / "audits.sqlite"), "labels")
    assert made is not None
    assert (made.name, made.count) == ("week-1", 1)
    assert "regrasp materialize" in texts(app)


def test_the_pages_load_neither_dagster_nor_torch() -> None:
    code = "import sys, labeling_app.app; print([m for m in ('dagster', 'torch') if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parent.parent
    )
    assert done.stdout.strip() == "[]", done.stderr
