"""Every page on a small workspace: it draws, says what to run, follows links, and tells damage in one sentence."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
import streamlit
from app_pages import SCRIPT, drawn, log_of, opened, press, served, texts
from app_workspace import STUCK, TASK, build
from streamlit.testing.v1 import AppTest

from audits.freeze import freeze
from episodes.store import EpisodeStore
from episodes.workspace import atomic_write
from labeling_app.listing import turned

SCREENS = ("overview", "episodes", "quality", "value_curves", "trigger_labels", "retrieval_pairs")


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    build(tmp_path, episodes=4)
    return served(tmp_path, monkeypatch)


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
    served(tmp_path, monkeypatch)
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
    served(tmp_path, monkeypatch)
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
    log_of(root).append("episode.note", item, by="Bo", value=note, shown={}, seconds=0)
    told = texts(opened("overview"))
    assert "cannot be read" not in told
    assert "cut short" not in told


def test_a_damaged_log_is_one_sentence(root: Path) -> None:
    (root / "audits.sqlite").write_bytes(b"nothing" * 999)
    assert "is damaged" in opened("overview").error[0].value


def test_a_log_with_one_other_byte_is_one_sentence_and_no_page_to_decide_on(root: Path) -> None:
    log_of(root).append("episode.note", "e", by="ann", value={"text": "seen"}, shown={}, seconds=1.0)
    with closing(sqlite3.connect(root / "audits.sqlite")) as connection:
        connection.execute("UPDATE events SET body = replace(body, 'seen', 'seem')")
        connection.commit()
    app = opened("overview")
    assert "event 1 of the audit log is not what was written" in app.error[0].value
    assert not app.metric


def test_a_lost_log_is_one_sentence_and_no_page_to_decide_on(root: Path) -> None:
    log = log_of(root)
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


def test_the_pages_load_neither_dagster_nor_torch() -> None:
    code = "import sys, labeling_app.app; print([m for m in ('dagster', 'torch') if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parent.parent
    )
    assert done.stdout.strip() == "[]", done.stderr
