"""From a decision to the next item on the screen, and what is sent for it: `python -m speed.browser [--decisions 40]`.

The app is served as people serve it and a Chromium without a window looks at the page Trigger labels: episodes of 2,000
steps, two cameras, six curves. A decision is one key. The next item is ready when the server is done, the list is at
another label, every picture is there and the figure's cursor stands at the step that the slider names. Milliseconds are
of the clock, in the browser, so a busy machine is in them.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import numpy as np
from playwright.sync_api import Page, sync_playwright

from labeling_app import command
from speed.app import build

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
EPISODES, WAIT_MS = 4, 120_000
_WATCH = """
() => {
  const named = (id) => [...document.querySelectorAll(`[data-testid=${id}] label`)].map((each) => each.innerText);
  const place = () => named("stSelectbox").find((text) => text.startsWith("Label "));
  const cursor = () => {
    const told = named("stSlider").map((text) => text.match(/step (\\d+) of/)).find(Boolean);
    const drawn = document.querySelector(".js-plotly-plot")?._fullLayout?.shapes;
    return told && drawn?.some((each) => each.type === "line" && each.x0 === Number(told[1]));
  };
  document.addEventListener("keydown", () => {
    const began = performance.now(), before = place();
    const look = () => {
      const idle = document.querySelector("[data-testid=stApp]").dataset.testScriptState === "notRunning";
      const there = [...document.images].every((each) => each.complete);
      if (idle && there && place() !== before && cursor()) window.took = performance.now() - began;
      else requestAnimationFrame(look);
    };
    window.took = null;
    look();
  }, true);
}
"""


def main() -> None:
    """Print one JSON line."""
    parser = argparse.ArgumentParser(description="Speed of deciding in a real browser.")
    parser.add_argument("--decisions", type=int, default=40)
    decisions = parser.parse_args().decisions
    with tempfile.TemporaryDirectory() as place:
        root = Path(place) / "workspace"
        build(root, episodes=EPISODES, labels=decisions // EPISODES + 1)
        with _served(root) as address, sync_playwright() as playwright:
            found = next(path for path in map(shutil.which, BROWSERS) if path)
            browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox", "--disable-gpu"])
            print(json.dumps(measure(browser.new_page(viewport={"width": 1280, "height": 900}), address, decisions)))


def measure(page: Page, address: str, decisions: int) -> dict[str, float | str]:
    """Accept one label after the other; the first is not counted, nothing being warm."""
    page.set_default_timeout(WAIT_MS)
    page.context.add_cookies([{"name": "regrasp_by", "value": "Ada", "url": address}])
    page.goto(f"{address}/trigger_labels")
    page.get_by_text("Label 1 of").wait_for()
    page.wait_for_timeout(2_000)
    page.evaluate(_WATCH)
    took = []
    for _ in range(decisions):
        page.keyboard.press("a")
        page.wait_for_function("window.took > 0")
        took.append(page.evaluate("window.took"))
    median, tail = np.quantile(took[1:], [0.5, 0.95]).round(1)
    load = round(os.getloadavg()[0], 1)
    return {"stage": "decision to next item", "n": decisions - 1, "median_ms": median, "p95_ms": tail, "load": load}


@contextmanager
def _served(root: Path) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    process = subprocess.Popen(command(root, port), cwd=root.parent, stdout=subprocess.DEVNULL)
    try:
        for _ in range(600):
            try:
                urlopen(f"{address}/_stcore/health").close()
                break
            except URLError:
                time.sleep(0.1)
        yield address
    finally:
        process.terminate()
        process.wait()


if __name__ == "__main__":
    main()
