"""The trigger labels as a person sees them: mined intervals with what was decided about them.

A label keeps the id it was mined under, `<episode_id>:<start>-<stop>`, whatever its interval becomes. Decisions meet
re-mined labels as they do in training; those about labels that are no longer found stay visible. Ranges are half open.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
import polars as pl

from models.labelling import LABEL_SCHEMA, match_decisions, parse_label_id


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


def labels_of(
    mined: pl.DataFrame | None, decisions: Mapping[str, Mapping[str, Any]], episode_ids: Sequence[str]
) -> list[Label]:
    """The labels of these episodes, in the order of `episode_ids`, then of their start; not what went into another."""
    order = {episode_id: place for place, episode_id in enumerate(episode_ids)}
    table = pl.DataFrame(schema=LABEL_SCHEMA) if mined is None else mined
    matched, unmatched = match_decisions(table, decisions)
    found = [_mined(row, matched.get(row["label_id"], {})) for row in table.to_dicts()]
    found += [label for item, decided in unmatched.items() if (label := _unmined(item, decided))]
    gone = {item for item, decided in decisions.items() if "merged_into" in decided}
    kept = [label for label in found if label.episode_id in order and label.label_id not in gone]
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
    place = parse_label_id(item)
    if place is None:
        return None
    human = decided.get("origin") == "human"
    interval = place[1], place[2]
    return Label(
        label_id=item,
        episode_id=decided.get("episode_id", place[0]),
        start=decided.get("start", interval[0]),
        stop=decided.get("stop", interval[1]),
        mined=None if human else interval,
        verdict=decided.get("verdict", ""),
        origin="human" if human else "earlier mining",
    )


@lru_cache(maxsize=8192)
def _terms(text: str | None) -> Mapping[str, Any]:
    """The terms column holds a JSON object; anything else is shown as no terms. Every interaction asks for all."""
    try:
        found = json.loads(text) if isinstance(text, str) else {}
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
