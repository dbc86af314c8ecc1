"""People in real browsers: two at one episode, a server that is killed under one, curves and pairs by keys alone."""

from __future__ import annotations

import random
import subprocess
import threading
from pathlib import Path

import pytest
from app_workspace import build
from browser_app import free_port, fresh_tab, last, login, press, serving, started
from playwright.sync_api import Browser, Page, expect

from audits.log import AuditLog

pytestmark = pytest.mark.browser


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "workspace"
    build(root, episodes=2)
    return root


def outcomes(root: Path) -> list[tuple[str, str]]:
    """Who gave which outcome, in the order of the log."""
    events = AuditLog(root / "audits.sqlite").events(kind="episode.outcome")
    return [(event.by, str(event.value["success"])) for event in events]


def at_episodes(page: Page, address: str, name: str) -> None:
    page.goto(f"{address}/episodes")
    expect(page.get_by_text("2 episodes")).to_be_visible()
    login(page, name)


def test_who_comes_second_sees_both_versions_and_chooses(root: Path, chromium: Browser) -> None:
    with serving(root) as address, fresh_tab(chromium, address) as ada, fresh_tab(chromium, address) as bo:
        at_episodes(ada, address, "Ada")
        at_episodes(bo, address, "Bo")
        press(bo, "s", "is success")
        press(ada, "f", "Decided by somebody else")
        expect(ada.get_by_text("You, not saved: outcome: failure")).to_be_visible()
        assert outcomes(root) == [("Bo", "success")]
        press(ada, "y", "is failure")
        expect(ada.get_by_text("Decided by somebody else")).to_have_count(0)
        press(bo, "n", "Decided by somebody else")
        press(bo, "t", "is failure")
        expect(bo.get_by_text("Decided by somebody else")).to_have_count(0)
    assert outcomes(root) == [("Bo", "success"), ("Ada", "failure")]


def test_no_acknowledged_decision_is_lost_when_the_server_is_killed_and_undo_works_after_it(
    root: Path, chromium: Browser
) -> None:
    """The same tab goes on: it finds the server that was started again, with the name and the episode it had."""
    port = free_port()
    server = started(root, port)
    try:
        with fresh_tab(chromium, address := f"http://127.0.0.1:{port}") as page:
            at_episodes(page, address, "Ada")
            press(page, "n", "is unknown")
            press(page, "s", "is success")
            acknowledged, wanted = ["unknown", "success"], "failure"
            killing = threading.Timer(random.Random(7).uniform(0.5, 2.5), server.kill)
            killing.start()
            while decided(page, wanted, server):
                acknowledged.append(wanted)
                wanted = "success" if wanted == "failure" else "failure"
            killing.join()
            server.wait()
            AuditLog(root / "audits.sqlite").verify()
            kept = [outcome for _, outcome in outcomes(root)]
            assert kept[: len(acknowledged)] == acknowledged

            server = started(root, port)
            expect(page.get_by_text("Deciding as Ada")).to_be_visible()
            press(page, "z", f"is {kept[-2]}")
            assert (last(root).kind, last(root).value) == ("undo", {"seq": len(kept)})
            assert AuditLog(root / "audits.sqlite").head()[0] == len(kept) + 1, "nothing but what was decided"
    finally:
        server.kill()
        server.wait()


def decided(page: Page, outcome: str, server: subprocess.Popen[bytes]) -> bool:
    """Give an outcome by its key: True once the page says so, False where the server is gone before."""
    page.keyboard.press(outcome[0])
    while not page.get_by_text(f"is {outcome}").first.is_visible():
        if server.poll() is not None:
            return False
        page.wait_for_timeout(20)
    return True


def test_curves_are_marked_and_pairs_judged_by_keys_alone(root: Path, chromium: Browser) -> None:
    with serving(root) as address, fresh_tab(chromium, address) as page:
        episode_id = min(path.stem for path in root.glob("episodes/*/*.h5"))
        page.goto(f"{address}/value_curves?episode={episode_id}&t=10")
        expect(page.get_by_text("At step 10")).to_be_visible()
        login(page, "Ada")
        press(page, "b", "Steps 10 to 10")
        press(page, "h", "Steps 10 to 20")
        press(page, "1", "What people saw, in 1 episode")
        assert last(root).value == {"start": 10, "stop": 21, "mark": "progress"}
        page.get_by_role("link", name="Retrieval pairs").click()
        expect(page.get_by_text("Pair 1 of ")).to_be_visible()
        press(page, "4", "1 decided")
        assert last(root).value == {"verdict": "unsafe"}
        press(page, "k", "out with the next freeze")
