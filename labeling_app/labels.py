"""The trigger labels as a person sees them: mined intervals with what was decided about them.

A label keeps the id it was mined under, `<episode_id>:<start>-<stop>`, whatever its interval becomes. Decisions about
labels that a later mining no longer finds stay visible. Ranges are steps, half open.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

_LABEL_ID = re.compile(r"([0-9a-f]+):(\d+)-(\d+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """One interval in which the robot may be stuck."""

    label_id: str
    episode_id: str
    start: int
    """first step"""
    stop: int
    """step after the last"""
    mined: tuple[int, int] | None = None
    """the interval as the rule found it; None for a label a person made"""
    rule: str = ""
    terms: Mapping[str, Any] = field(default_factory=dict)
    """what the rule measured over the interval"""
    verdict: str = ""
    """accept, reject, unsure; empty while undecided"""
    origin: str = "mined"
    """mined, human, or "earlier mining" """

    @property
    def edited(self) -> bool:
        """True where a person moved an end."""
        return self.mined is not None and self.mined != (self.start, self.stop)


def label_id(episode_id: str, start: int, stop: int) -> str:
    """The id of a label mined or made at this place."""
    return f"{episode_id}:{start}-{stop}"


def labels_of(
    mined: pl.DataFrame | None, decisions: Mapping[str, Mapping[str, Any]], episode_ids: Sequence[str]
) -> list[Label]:
    """The labels of these episodes, in the order of `episode_ids`, then of their start."""
    order = {episode_id: place for place, episode_id in enumerate(episode_ids)}
    rows = mined.to_dicts() if mined is not None else []
    found = {row["label_id"]: _mined(row, decisions.get(row["label_id"], {})) for row in rows}
    for item, decided in decisions.items():
        if item not in found and (label := _unmined(item, decided)):
            found[item] = label
    kept = [label for label in found.values() if label.episode_id in order]
    return sorted(kept, key=lambda label: (order[label.episode_id], label.start, label.stop))


def positives(labels: Sequence[Label], lengths: Mapping[str, int]) -> int:
    """Steps that training would see as stuck: under a label that is neither rejected nor unsure, counted once."""
    total = 0
    for episode_id in {label.episode_id for label in labels}:
        mask = np.zeros(lengths.get(episode_id, 0), bool)
        for label in labels:
            if label.episode_id == episode_id and label.verdict in ("", "accept"):
                mask[label.start : label.stop] = True
        total += int(mask.sum())
    return total


def _mined(row: Mapping[str, Any], decided: Mapping[str, Any]) -> Label:
    interval = int(row["start"]), int(row["stop"])
    return Label(
        label_id=row["label_id"],
        episode_id=row["episode_id"],
        start=decided.get("start", interval[0]),
        stop=decided.get("stop", interval[1]),
        mined=interval,
        rule=str(row.get("rule") or ""),
        terms=_terms(row.get("terms")),
        verdict=decided.get("verdict", ""),
    )


def _unmined(item: str, decided: Mapping[str, Any]) -> Label | None:
    place = _LABEL_ID.fullmatch(item)
    if place is None:
        return None
    human = decided.get("origin") == "human"
    interval = int(place[2]), int(place[3])
    return Label(
        label_id=item,
        episode_id=decided.get("episode_id", place[1]),
        start=decided.get("start", interval[0]),
        stop=decided.get("stop", interval[1]),
        mined=None if human else interval,
        verdict=decided.get("verdict", ""),
        origin="human" if human else "earlier mining",
    )


def _terms(text: Any) -> Mapping[str, Any]:
    """The terms column holds a JSON object; anything else is shown as no terms."""
    try:
        found = json.loads(text) if isinstance(text, str) else {}
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
