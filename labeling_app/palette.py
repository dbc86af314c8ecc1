"""Colours and names, one place: readable on light and dark, and told apart without seeing red and green (Okabe-Ito)."""

from __future__ import annotations

from episodes.record import ActionSource

SOURCES: dict[int, tuple[str, str]] = {
    ActionSource.POLICY: ("policy", "#7DB9DE"),
    ActionSource.RECOVERY: ("recovery", "#009E73"),
    ActionSource.HUMAN: ("human", "#E69F00"),
    ActionSource.HOLD: ("hold", "#9A9A9A"),
    ActionSource.UNKNOWN: ("unknown", "#CFCFCF"),
}
LINES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#C98200", "#3D9BD6", "#9B6BC4", "#8A8A8A", "#5F6B7A")
"""of curves told apart by nothing else; as every line has, at least 3:1 of contrast on the light and the dark page"""
VALUE, SCORE, RISK, TRIGGER, CURSOR, DRAFT = "#1F86C9", LINES[2], LINES[1], LINES[6], "#E0483E", "#B5468A"
OUTCOMES: dict[str, str] = {"success": LINES[0], "failure": LINES[1], "unknown": LINES[7]}
VERDICTS: dict[str, tuple[str, str]] = {
    "": ("undecided", LINES[3]),
    "accept": ("accepted", DRAFT),
    "reject": ("rejected", "#C4C4C4"),
    "unsure": ("unsure", "#E8C547"),
}
MARKS: dict[str, str] = {"progress": LINES[2], "stagnant": LINES[3], "regress": LINES[1]}
"""what a person saw"""
OTHERS = LINES[4:8]
"""curves of other models"""


def faded(colour: str, opacity: float) -> str:
    """The colour as `rgba(...)`."""
    red, green, blue = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity})"
