"""The app in a real browser: labels are corrected with keys and mouse, frozen, stand in the log, and are trained on."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from app_workspace import STUCK, build
from browser_app import (
    REPOSITORY,
    click_on_step,
    drag_over_steps,
    fresh_tab,
    last,
    login,
    press,
    pull_edge,
    serving,
    settled,
)
from playwright.sync_api import Browser, Page, expect

from audits.freeze import latest
from audits.log import AuditLog
from models.labelling import parse_label_id
from releases.bundle import open_release

AFTER_LABELS = {
    "labels/audited",
    "models/intervention",
    "memory/recovery",
    "triggers/curves",
    "reports/offline",
    "releases/candidate",
}
pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("app") / "workspace"
    build(root)
    return root


@pytest.fixture(scope="module")
def server(root: Path) -> Iterator[str]:
    with serving(root) as address:
        yield address


@pytest.fixture
def page(chromium: Browser, server: str) -> Iterator[Page]:
    with fresh_tab(chromium, server) as page:
        yield page


def freeze_one_label(page: Page, name: str) -> None:
    """Freeze what was decided, which is one label, and wait for the word on what to do next."""
    settled(page)
    if not page.get_by_label("Name of the freeze").is_visible():  # it is open where there is a freeze already
        page.get_by_text("Freeze labels for training").click()
    page.get_by_label("Name of the freeze").fill(name)
    page.get_by_role("button", name="Freeze 1 decision").click()
    expect(page.get_by_text(f"Newest: {name}")).to_be_visible()
    expect(page.get_by_text("regrasp materialize")).to_be_visible()


def test_labels_are_corrected_with_keys_and_mouse_and_frozen(server: str, root: Path, page: Page) -> None:
    start, stop = STUCK
    page.goto(f"{server}/trigger_labels")
    expect(page.get_by_text("Label 1 of ")).to_be_visible()
    login(page, "Ada")

    press(page, "j", "Label 2 of 9")
    press(page, "k", "Label 1 of 9")
    expect(page.get_by_text(f"Steps {start} to {stop - 1}")).to_be_visible()
    press(page, "w", f"draft {start + 1} to {stop - 1}, not saved")
    press(page, "w", f"draft {start + 2} to {stop - 1}, not saved")
    press(page, "o", f"draft {start + 2} to {stop - 2}, not saved")
    press(page, "Enter", f"Steps {start + 2} to {stop - 2}")
    expect(page.get_by_text("not saved")).to_have_count(0)
    assert last(root).kind == "label.edit"
    assert last(root).value == {"start": start + 2, "stop": stop - 1}

    click_on_step(page, 40)
    expect(page.get_by_text("step 40 of 99")).to_be_visible()
    drag_over_steps(page, 57.6, 70.4)
    expect(page.get_by_text("draft 58 to 70, not saved")).to_be_visible()
    press(page, "Enter", "Steps 58 to 70")
    edit = last(root)
    assert edit.value == {"start": 58, "stop": 71}
    assert edit.item.endswith(f":{start}-{stop}")
    assert (edit.by, edit.shown["value_model"], edit.shown["labels"]) == ("Ada", "4f1c9a2be07d", "d1")

    pull_edge(page, 57.5, 59.6)
    expect(page.get_by_text("draft 60 to 70, not saved")).to_be_visible()
    press(page, "Escape", "Steps 58 to 70")
    click_on_step(page, 64)
    expect(page.get_by_text("step 64 of 99")).to_be_visible()
    press(page, "s", "Steps 58 to 63")
    press(page, "m", "Steps 58 to 70")
    press(page, "z", "Steps 58 to 63")
    press(page, "z", "Steps 58 to 70")

    page.keyboard.press("x")
    expect(page.get_by_text("Steps 58 to 70")).to_have_count(0)
    press(page, "z", "Steps 58 to 70")
    page.keyboard.press("a")
    expect(page.get_by_text("Steps 58 to 70")).to_have_count(0)
    kinds = [event.kind for event in AuditLog(root / "audits.sqlite").events()]
    cut = ["label.split", "label.merge", "undo", "undo"]
    assert kinds == ["label.edit", "label.edit", *cut, "label.verdict", "undo", "label.verdict"]

    freeze_one_label(page, "first-pass")
    expect(page.get_by_text("Nothing was decided since")).to_be_visible()
    made = latest(AuditLog(root / "audits.sqlite"), "labels")
    assert made is not None
    assert made.decisions == {edit.item: {"start": 58, "stop": 71, "verdict": "accept"}}


@pytest.mark.demo
def test_an_interval_corrected_and_frozen_in_the_app_retrains_what_reads_it_and_nothing_else(
    settled_copy: Path, chromium: Browser
) -> None:
    with serving(settled_copy) as address, fresh_tab(chromium, address) as page:
        page.goto(f"{address}/trigger_labels")
        expect(page.get_by_text("Label 1 of ")).to_be_visible()
        login(page, "Ada")
        settled(page)
        page.keyboard.press("w")
        expect(page.get_by_text("not saved")).to_be_visible()
        page.keyboard.press("Enter")
        expect(page.get_by_text("not saved")).to_have_count(0)
        by_keys = last(settled_copy)
        start, stop = int(by_keys.value["start"]), int(by_keys.value["stop"])
        drag_over_steps(page, max(start - 4, 0) - 0.4, start + 3.4)
        expect(page.get_by_text("not saved")).to_be_visible()
        press(page, "Enter", f"Steps {max(start - 4, 0)} to {start + 3}")
        by_mouse = last(settled_copy)
        freeze_one_label(page, "from-the-app")
        assert latest(AuditLog(settled_copy / "audits.sqlite"), "labels").name == "from-the-app"
    assert (by_keys.kind, by_keys.by, by_keys.item) == ("label.edit", "Ada", by_mouse.item)
    _, first, last_stop = parse_label_id(by_keys.item)
    assert (start, stop) == (first + 1, last_stop), "the key moved the start by one"
    edited = {"start": max(start - 4, 0), "stop": start + 4}
    assert by_mouse.value == edited

    before = {key: manifest(settled_copy, key) for key in ("values/model", "models/intervention", "releases/candidate")}
    made = materialize(settled_copy)
    assert "label freeze from-the-app -> labels/audited, models/intervention" in made
    timed = {line.split()[0] for line in made.splitlines() if line.startswith("  ") and line.endswith(" s")}
    assert timed == AFTER_LABELS
    after = {key: manifest(settled_copy, key) for key in before}
    assert after["values/model"] == before["values/model"]
    assert after["models/intervention"]["label freeze"] == "from-the-app"
    assert after["models/intervention"]["model"] != before["models/intervention"]["model"]
    version = after["releases/candidate"]["version"]
    assert version != before["releases/candidate"]["version"]
    assert open_release(settled_copy, version).manifest.parents.label_freeze == "from-the-app"
    audited = pl.read_parquet(settled_copy / "derived/labels/audited/tube_insertion/labels.parquet")
    (row,) = audited.filter(pl.col("label_id") == by_keys.item).to_dicts()
    assert {"start": row["start"], "stop": row["stop"]} == edited
    assert materialize(settled_copy).startswith("nothing to do")


def manifest(root: Path, key: str) -> dict[str, Any]:
    """What the stage said when it was last made, and when that was."""
    saved = json.loads((root / "derived" / key / "tube_insertion/manifest.json").read_text())
    return {**saved["metadata"], "created": saved["created"]}


def materialize(root: Path) -> str:
    """What `regrasp materialize` says, in a process of its own."""
    command = [sys.executable, "-m", "pipelines", "materialize", "--root", str(root)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_link_opens_the_episode_at_the_step_and_keys_move_it(server: str, root: Path, page: Page) -> None:
    episode_id = sorted(path.stem for path in root.glob("episodes/*/*.h5"))[3]
    page.goto(f"{server}/value_curves?task=tube_insertion&episode={episode_id}&t=98")
    expect(page.get_by_text("At step 98")).to_be_visible()
    for _ in range(100):  # a page that was just drawn has no keys for a moment; at the last step one more does nothing
        page.keyboard.press("ArrowRight")
        page.wait_for_timeout(500)
        if page.get_by_text("step 99 of 99").first.is_visible():
            break
    press(page, "g", "step 89 of 99")
    page.wait_for_url(f"**episode={episode_id}&t=89")
    page.get_by_role("link", name="Episodes").click()
    expect(page.get_by_text("step 89 of 99")).to_be_visible()
    page.wait_for_url(f"**/episodes?task=tube_insertion&episode={episode_id}&t=89")


def test_the_browser_keeps_the_name_for_a_reload_and_a_link_until_it_is_changed(server: str, page: Page) -> None:
    name = "Zoë; path=/x' </script>"
    page.goto(f"{server}/episodes")
    expect(page.get_by_text("8 episodes")).to_be_visible()
    login(page, name)
    page.goto(f"{server}/trigger_labels")
    expect(page.get_by_text(f"Deciding as {name}")).to_be_visible()
    assert "Zo" not in page.url
    page.get_by_role("button", name="Change name").click()
    expect(page.get_by_label("Your name")).to_be_visible()
    settled(page)
    page.reload()
    expect(page.get_by_label("Your name")).to_be_visible()


def test_markup_in_names_and_notes_stays_text(server: str, root: Path, page: Page) -> None:
    page.goto(f"{server}/episodes")
    name = "<img src=x onerror=alert(1)> ![x](http://e.org/x.png)"
    expect(page.get_by_text("8 episodes")).to_be_visible()
    login(page, name)
    press(page, "f", "is failure")
    expect(page.get_by_role("button", name="Jam")).to_be_visible()
    settled(page)
    page.keyboard.press("2")
    expect(page.get_by_role("button", name="Jam")).to_have_attribute("kind", "primary")
    settled(page)
    expect(page.get_by_label("Note", exact=True)).to_have_count(1)
    page.get_by_label("Note", exact=True).fill(name)
    page.keyboard.press("Enter")
    expect(page.get_by_label("Note", exact=True).first).to_have_value(name)
    page.get_by_role("link", name="Overview").click()
    expect(page.get_by_text("Last decisions")).to_be_visible()
    assert page.locator("img[src='x']").count() == 0
    assert last(root).kind == "episode.note"
    assert last(root).value == {"text": name}
