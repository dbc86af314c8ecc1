"""What came before a takeover, told from the events of an episode."""

from __future__ import annotations

from typing import Any

import pytest

from robot_io.benchmark.noting import SINCE, Takeovers

TRIGGER: tuple[int, str, dict[str, Any]] = (40, "trigger", {})
RECOVERY: tuple[int, str, dict[str, Any]] = (40, "recovery", {"reason": ""})


def back(t: int) -> tuple[int, str, dict[str, Any]]:
    return t, "recovery_end", {"reason": "better", "to": "policy"}


def taken(t: int, source: str, reason: str = "stall") -> tuple[int, str, dict[str, Any]]:
    return t, "takeover", {"reason": reason, "source": source}


def before(*events: tuple[int, str, dict[str, Any]]) -> list[str]:
    noted = Takeovers()
    for event in events:
        noted.event(*event)
    return noted.before


@pytest.mark.parametrize(
    ("events", "said"),
    [
        ([taken(50, "policy")], "unnoticed"),
        ([TRIGGER, taken(40 + SINCE, "policy")], "unnoticed"),
        ([TRIGGER, taken(39 + SINCE, "policy")], "unanswered"),
        ([TRIGGER, RECOVERY, taken(60, "recovery")], "in recovery"),
        ([TRIGGER, RECOVERY, (55, "fault", {"source": "recovery"}), taken(60, "hold", "force")], "in recovery"),
        ([(55, "fault", {"source": "policy"}), taken(60, "hold", "force")], "unnoticed"),
        ([TRIGGER, RECOVERY, back(50), taken(80, "policy")], "after recovery"),
        ([TRIGGER, RECOVERY, back(50), taken(50 + SINCE, "policy")], "unnoticed"),
    ],
)
def test_a_takeover_has_one_story_before_it(events: list[tuple[int, str, dict[str, Any]]], said: str) -> None:
    assert before(*events) == [said]


def test_what_led_to_one_takeover_is_no_part_of_the_next() -> None:
    events = [TRIGGER, RECOVERY, back(50), taken(60, "policy"), (70, "hand_back", {"to": "policy"})]
    assert before(*events, taken(90, "policy")) == ["after recovery", "unnoticed"]
