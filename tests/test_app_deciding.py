"""How the pages decide: what stands behind a decision, two people at one item, and what is taken back."""

from __future__ import annotations

from pathlib import Path

import pytest
from app_pages import drawn, events, log_of, opened, press, served, texts
from app_workspace import MODEL, build

from audits.freeze import latest
from audits.leases import Leases
from labeling_app.history import History
from labeling_app.provenance import REQUIRED


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    build(tmp_path, episodes=4)
    return served(tmp_path, monkeypatch)


def outcome(root: Path, item: str, success: str, *, by: str = "Bo") -> int:
    return log_of(root).append("episode.outcome", item, by=by, value={"success": success}, shown={}, seconds=0).seq


@pytest.mark.parametrize(
    ("screen", "shortcut"), [("episodes", "s"), ("quality", "a"), ("trigger_labels", "a"), ("retrieval_pairs", "1")]
)
def test_every_decision_says_what_stood_behind_it(root: Path, screen: str, shortcut: str) -> None:
    press(opened(screen), shortcut)
    (event,) = log_of(root).events()
    assert set(REQUIRED) <= set(event.shown)
    assert event.shown["page"] == screen
    assert event.shown["value_model"] == MODEL
    assert event.shown["miner"] == {"window": 0.3}
    assert event.shown["frame_range"] == [0, 100]
    assert all(event.shown[name] for name in ("app", "task", "labels", "why"))


def test_of_two_versions_theirs_is_kept(root: Path) -> None:
    app = opened("episodes")
    outcome(root, app.session_state["episode"], "unknown")
    app = press(press(app, "f"), "t")
    assert events(root) == [("episode.outcome", {"success": "unknown"})]
    assert "Decided by somebody else" not in texts(app)
    assert not app.warning


def test_a_conflict_waits_while_others_are_decided_and_a_third_person_makes_another(root: Path) -> None:
    app = opened("episodes")
    first = app.session_state["episode"]
    outcome(root, first, "unknown")
    app = press(press(app, "f"), "j")
    assert app.session_state["episode"] != first
    assert "Decided by somebody else" in texts(app)
    outcome(root, first, "success", by="Cy")
    app = press(app, "y")
    assert "**Cy** at" in texts(app)
    app = press(app, "y")
    assert [event.by for event in log_of(root).events(item=first)] == ["Bo", "Cy", "Ada"]
    assert "Decided by somebody else" not in texts(app)


def test_who_looks_at_an_item_is_told_to_who_comes_second(root: Path) -> None:
    leases = Leases(log_of(root).database)
    app = opened("episodes")
    assert leases.held()[app.session_state["episode"]].by == "Ada"
    app = press(app, "j")
    (lease,) = leases.held().values()
    assert lease.item == app.session_state["episode"]
    app = press(app, "k")
    leases.take(lease.item, "Bo")
    app = press(app, "j")
    assert "Bo is looking at this too" in texts(app)
    assert leases.held()[lease.item].by == "Bo"


def test_a_page_goes_on_where_the_log_grew_and_begins_again_where_it_was_replaced(root: Path) -> None:
    history = History(log_of(root))
    assert history.now().seq == 0
    outcome(root, "a", "success")
    assert history.now().state.episodes == {"a": {"success": "success"}}
    seq = outcome(root, "b", "failure")
    log_of(root).undo(seq, by="Bo")
    before = history.now()
    assert (before.seq, before.out, [event.seq for event in before.mine("Bo")]) == (3, {2}, [1, 3])
    (root / "audits.sqlite").unlink()
    for item in ("c", "d", "e", "f"):
        outcome(root, item, "success")
    assert set(history.now().state.episodes) == {"c", "d", "e", "f"}
    assert history.now() is history.now()


def test_nothing_is_leased_to_nobody(root: Path) -> None:
    app = opened("episodes")
    del app.session_state["name"]
    drawn(app.run())
    press(app, "j")
    assert len(Leases(log_of(root).database).held()) == 1, "the one from when there was a name"


def test_any_decision_is_taken_back_and_brought_back_with_what_was_seen(root: Path) -> None:
    first = press(opened("episodes"), "s").session_state["episode"]
    outcome(root, first, "failure")
    outcome(root, "other", "unknown", by="Cy")
    app = opened("decisions")
    assert app.dataframe[0].value["by"].to_list() == ["Cy", "Bo", "Ada"]
    app = press(press(app, "j"), "z")
    assert log_of(root).events()[-1].value == {"seq": 2}
    assert History(log_of(root)).now().state.episodes[first] == {"success": "success"}
    assert app.dataframe[0].value["stands"].to_list() == ["", "", "taken back", ""]
    app = press(app, "b")
    assert History(log_of(root)).now().state.episodes[first] == {"success": "failure"}
    (by,) = (box for box in app.selectbox if box.label == "By")
    app = press(press(drawn(by.set_value("Ada").run()), "j"), "j")
    assert "value_model" in app.dataframe[1].value[""].to_list()
    (asked,) = (box for box in app.text_input if box.label.startswith("Words"))
    assert "No decision fits" in texts(drawn(asked.set_value("nothing like it").run()))


def test_the_overview_says_what_needs_attention(root: Path) -> None:
    outcome(root, "e", "unknown")
    Leases(log_of(root).database).take("e", "Bo")
    said = texts(opened("overview"))
    assert "things wait in the queue" in said
    assert "1 decisions on episodes are in no freeze" in said
    assert "Bo looks at e now" in said
    assert "cannot be read" not in said


def test_nobody_decides_without_a_name(root: Path) -> None:
    app = opened("trigger_labels")
    assert not app.button(key="key-a").disabled
    del app.session_state["name"]
    assert drawn(app.run()).button(key="key-a").disabled
    assert events(root) == []


def test_undo_takes_back_what_was_decided_on_this_page(root: Path) -> None:
    press(opened("trigger_labels"), "a")
    app = press(opened("episodes"), "z")
    assert "no decision of yours on this page" in texts(app)
    assert [kind for kind, _ in events(root)] == ["label.verdict"]
    press(opened("trigger_labels"), "z")
    assert [kind for kind, _ in events(root)] == ["label.verdict", "undo"]


def test_a_pair_is_judged_and_the_next_undecided_follows(root: Path) -> None:
    app = opened("retrieval_pairs")
    app = press(press(app, "1"), "4")
    assert events(root) == [("pair.verdict", {"verdict": "valid"}), ("pair.verdict", {"verdict": "unsafe"})]
    assert app.session_state["pair"] == 2


def test_a_decision_made_meanwhile_is_shown_and_not_overwritten(root: Path) -> None:
    app = opened("episodes")
    log = log_of(root)
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
    made = latest(log_of(root), "labels")
    assert made is not None
    assert (made.name, made.count) == ("week-1", 1)
    assert "regrasp materialize" in texts(app)
