"""Decisions in words, for people to read."""

from __future__ import annotations

from collections.abc import Mapping

from audits.events import Event


def told(event: Event) -> str:
    """The decision in a few words."""
    if event.kind == "freeze":
        return f"{event.value['count']} decisions"
    if event.kind == "undo":
        return f"takes back {event.value['seq']}"
    what = event.kind.partition(".")[2].replace("_", " ")
    return f"{what}: " + ", ".join(said(name, value) for name, value in event.value.items())


def decided(decisions: Mapping[str, object]) -> str:
    """What stands decided about an item."""
    return ", ".join(said(name, value) for name, value in decisions.items()) or "nothing"


def said(name: str, value: object) -> str:
    """One part of a decision: the name only where the value does not speak for itself."""
    if isinstance(value, bool):
        return name if value else f"not {name}"
    return str(value).replace("_", " ") if isinstance(value, str) else f"{name} {value}"
