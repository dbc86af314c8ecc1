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
OUTCOMES: dict[str, str] = {"success": "#0072B2", "failure": "#D55E00", "unknown": "#8A8A8A"}
VERDICTS: dict[str, tuple[str, str]] = {
    "": ("undecided", "#CC79A7"),
    "accept": ("accepted", "#9C3D75"),
    "reject": ("rejected", "#C4C4C4"),
    "unsure": ("unsure", "#E8C547"),
}
MARKS: dict[str, str] = {"progress": "#009E73", "stagnant": "#CC79A7", "regress": "#D55E00"}
"""what a person saw"""
OTHERS = ("#E69F00", "#56B4E9", "#8A8A8A", "#7A5195")
"""curves of other models"""
VALUE, SCORE, RISK, TRIGGER, CURSOR, DRAFT = "#1F86C9", "#009E73", "#D55E00", "#7A5195", "#E0483E", "#9C3D75"


def faded(colour: str, opacity: float) -> str:
    """The colour as `rgba(...)`."""
    red, green, blue = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity})"
