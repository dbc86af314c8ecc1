"""The app in a real browser: labels are corrected with keys and mouse, frozen, and stand in the log."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest
from app_workspace import STUCK, build
from playwright.sync_api import Browser, Page, expect, sync_playwright

from audits.events import Event
from audits.freeze import latest
from audits.log import AuditLog
from labeling_app import command

REPOSITORY = Path(__file__).parent.parent
CHROMIUM = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking")
pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("app") / "workspace"
    build(root)
    return root


@pytest.fixture(scope="module")
def server(root: Path) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    with open(root.parent / "server.log", "wb") as log:
        process = subprocess.Popen(command(root, port), cwd=root.parent, env=environment, stdout=log, stderr=log)
    address = f"http://127.0.0.1:{port}"
    try:
        _wait(f"{address}/_stcore/health", process)
        yield address
    finally:
        process.terminate()
        process.wait()


def _wait(address: str, process: subprocess.Popen[bytes]) -> None:
    for _ in range(300):
        assert process.poll() is None, "the app ended before it answered"
        try:
            urlopen(address).close()
        except URLError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError("the app never answered")


@pytest.fixture(scope="module")
def chromium(browser: str) -> Iterator[Browser]:
    expect.set_options(timeout=20_000)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser, args=list(CHROMIUM))
        yield chromium
        chromium.close()


@pytest.fixture
def page(chromium: Browser, server: str) -> Iterator[Page]:
    """A fresh tab, which may ask for nothing but our own server."""
    page = chromium.new_page(viewport={"width": 1280, "height": 900})
    page.set_default_timeout(20_000)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    yield page
    page.context.close()
    assert [url for url in asked if not url.startswith((server, "data:", "blob:"))] == []


def login(page: Page, name: str) -> None:
    page.get_by_label("Your name").fill(name)
    page.keyboard.press("Enter")
    expect(page.get_by_text(f"Deciding as {name}")).to_be_visible()
    expect(page.get_by_role("button", name="Undo")).to_be_enabled()
    settled(page)


def settled(page: Page) -> None:
    """Wait until the app has drawn everything."""
    expect(page.locator("[data-testid=stApp][data-test-script-state=notRunning]")).to_be_visible()


def press(page: Page, key: str, then: str) -> None:
    """Press a key, once the page is ready for it, and wait for the text it leads to."""
    settled(page)
    page.keyboard.press(key)
    expect(page.get_by_text(then).first).to_be_visible()


def places_of(page: Page, *steps: float) -> tuple[list[float], float]:
    """Where steps are on the screen: x of each, and a y in the value row."""
    figure = page.locator(".js-plotly-plot").first
    left, width, low, high = figure.evaluate(
        "f => [f._fullLayout.xaxis._offset, f._fullLayout.xaxis._length, ...f._fullLayout.xaxis.range]"
    )
    box = figure.bounding_box()
    assert box is not None
    return [box["x"] + left + width * (step - low) / (high - low) for step in steps], box["y"] + 110


def click_on_step(page: Page, step: int) -> None:
    """Click in the value row, as slowly as a person, for plotly follows the mouse."""
    (x,), y = places_of(page, step)
    page.mouse.move(x, y, steps=4)
    page.wait_for_timeout(300)
    page.mouse.click(x, y)


def drag_over_steps(page: Page, start: float, stop: float) -> None:
    """Draw a box over the value row from one step to another, with the mouse."""
    x, y = places_of(page, start, stop)
    page.mouse.move(x[0], y)
    page.mouse.down()
    page.mouse.move((x[0] + x[1]) / 2, y + 10, steps=4)
    page.mouse.move(x[1], y + 15, steps=4)
    page.mouse.up()


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

    page.keyboard.press("x")
    expect(page.get_by_text("Steps 58 to 70")).to_have_count(0)
    press(page, "z", "Steps 58 to 70")
    page.keyboard.press("a")
    expect(page.get_by_text("Steps 58 to 70")).to_have_count(0)
    kinds = [event.kind for event in AuditLog(root / "audits.sqlite").events()]
    assert kinds == ["label.edit", "label.edit", "label.verdict", "undo", "label.verdict"]

    page.get_by_text("Freeze labels for training").click()
    page.get_by_label("Name of the freeze").fill("first-pass")
    page.get_by_role("button", name="Freeze 1 decisions").click()
    expect(page.get_by_text("Nothing was decided since")).to_be_visible()
    expect(page.get_by_text("regrasp materialize")).to_be_visible()
    made = latest(AuditLog(root / "audits.sqlite"), "labels")
    assert made is not None
    assert made.decisions == {edit.item: {"start": 58, "stop": 71, "verdict": "accept"}}


def test_a_link_opens_the_episode_at_the_step_and_keys_move_it(server: str, root: Path, page: Page) -> None:
    episode_id = sorted(path.stem for path in root.glob("episodes/*/*.h5"))[3]
    page.goto(f"{server}/value_curves?task=tube_insertion&episode={episode_id}&t=40")
    expect(page.get_by_text("step 40 of 99")).to_be_visible()
    press(page, "ArrowRight", "step 41 of 99")
    press(page, "h", "step 51 of 99")
    page.wait_for_url(f"**episode={episode_id}&t=51")
    page.get_by_role("link", name="Episodes").click()
    expect(page.get_by_text("step 51 of 99")).to_be_visible()
    page.wait_for_url(f"**/episodes?task=tube_insertion&episode={episode_id}&t=51")


def test_markup_in_names_and_notes_stays_text(server: str, root: Path, page: Page) -> None:
    page.goto(f"{server}/episodes")
    name = "<img src=x onerror=alert(1)> ![x](http://e.org/x.png)"
    expect(page.get_by_text("8 episodes")).to_be_visible()
    login(page, name)
    press(page, "f", "is failure")
    page.keyboard.press("2")
    expect(page.get_by_role("button", name="Jam")).to_have_attribute("kind", "primary")
    settled(page)
    expect(page.get_by_label("Note")).to_have_count(1)
    page.get_by_label("Note").fill(name)
    page.keyboard.press("Enter")
    expect(page.get_by_label("Note").first).to_have_value(name)
    page.get_by_role("link", name="Overview").click()
    expect(page.get_by_text("Last decisions")).to_be_visible()
    assert page.locator("img[src='x']").count() == 0
    assert last(root).kind == "episode.note"
    assert last(root).value == {"text": name}


def last(root: Path) -> Event:
    return AuditLog(root / "audits.sqlite").events()[-1]
