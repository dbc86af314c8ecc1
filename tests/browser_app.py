"""The app as a process of its own and a tab of a real browser that looks at it: served, opened, waited for, pressed."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from playwright.sync_api import Browser, Page, expect

from audits.events import Event
from audits.log import AuditLog
from labeling_app import command

REPOSITORY = Path(__file__).parent.parent
WAIT_MS = 60_000
"""for what a quiet machine does in one second"""


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def started(root: Path, port: int) -> subprocess.Popen[bytes]:
    """The app on a workspace, once it answers."""
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    with open(root.parent / "server.log", "ab") as log:
        process = subprocess.Popen(command(root, port), cwd=root.parent, env=environment, stdout=log, stderr=log)
    try:
        _wait(f"http://127.0.0.1:{port}/_stcore/health", process)
    except BaseException:
        process.kill()
        raise
    return process


@contextmanager
def serving(root: Path) -> Iterator[str]:
    """The app on a workspace; gives its address."""
    port = free_port()
    process = started(root, port)
    try:
        yield f"http://127.0.0.1:{port}"
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


@contextmanager
def fresh_tab(chromium: Browser, server: str) -> Iterator[Page]:
    """A tab that may ask for nothing but our own server."""
    page = chromium.new_page(viewport={"width": 1280, "height": 900})
    page.set_default_timeout(WAIT_MS)
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


_AXIS = """
() => {
  const figure = document.querySelector(".js-plotly-plot"), axis = figure?._fullLayout?.xaxis;
  const box = figure?.getBoundingClientRect();
  return axis?._length > 0 && box.width > 0 && [box.x, box.y, axis._offset, axis._length, ...axis.range];
}
"""


def places_of(page: Page, *steps: float) -> tuple[list[float], float]:
    """Where steps are on the screen: x of each, and a y in the value row; of the figure that stays."""
    settled(page)
    page.wait_for_timeout(500)  # the figure before it is taken away, and the component attaches to the new one
    x, y, left, width, low, high = page.wait_for_function(_AXIS).json_value()
    return [x + left + width * (step - low) / (high - low) for step in steps], y + 110


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


def pull_edge(page: Page, edge: float, to: float) -> None:
    """Catch an edge of the interval and pull it to another place on the axis."""
    x, y = places_of(page, edge, to)
    page.mouse.move(x[0] + 2, y, steps=4)
    page.mouse.down()
    page.mouse.move(x[1], y, steps=4)
    page.mouse.up()


def last(root: Path) -> Event:
    return AuditLog(root / "audits.sqlite").events()[-1]
