"""What is decided now: a fold over the events of the log, with everything undone left out.

Later decisions win, field by field. An edited label that has no verdict yet counts as accepted (who corrects an
interval says that it is one), and so does a label that a person made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from audits.events import Event, second_part
from audits.log import undone

Decisions = dict[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class AuditState:
    """Decisions by item; an item without a standing decision is absent."""

    episodes: Decisions = field(default_factory=dict)
    """episode id -> any of success, failure_mode, excluded, weight, note"""
    labels: Decisions = field(default_factory=dict)
    """label id -> any of verdict, start, stop; origin "human" and episode_id for those a person made; merged_into for
    one that went into another, which it stands rejected beside"""
    pairs: Decisions = field(default_factory=dict)
    """pair id -> verdict"""
    progress: dict[str, list[tuple[int, int, str]]] = field(default_factory=dict)
    """episode id -> (start, stop, mark) as they were given: a later one lies over the earlier"""


def fold(events: Iterable[Event]) -> AuditState:
    """The state after `events`, which are a log from its beginning, in order."""
    events = list(events)
    out, state = undone(events), AuditState()
    for event in events:
        if event.seq not in out and event.kind in _APPLY:
            _APPLY[event.kind](state, event.item, event.value)
    return state


def _episode(key: str, source: str) -> Callable[[AuditState, str, Mapping[str, Any]], None]:
    def apply(state: AuditState, item: str, value: Mapping[str, Any]) -> None:
        state.episodes.setdefault(item, {})[key] = value[source]

    return apply


def _label_verdict(state: AuditState, item: str, value: Mapping[str, Any]) -> None:
    state.labels.setdefault(item, {})["verdict"] = value["verdict"]


def _label_edit(state: AuditState, item: str, value: Mapping[str, Any]) -> None:
    label = state.labels.setdefault(item, {})
    label.update(start=value["start"], stop=value["stop"])
    label.setdefault("verdict", "accept")


def _label_create(state: AuditState, item: str, value: Mapping[str, Any]) -> None:
    state.labels[item] = {**value, "origin": "human", "verdict": "accept"}


def _label_split(state: AuditState, item: str, value: Mapping[str, Any]) -> None:
    """The label ends at the cut; what lies behind it is a label a person made, with the verdict of the first part."""
    at, stop = value["at"], value["stop"]
    _label_edit(state, item, {"start": value["start"], "stop": at})
    made = {"episode_id": value["episode_id"], "start": at, "stop": stop}
    verdict = state.labels[item]["verdict"]
    state.labels[second_part(value)] = {**made, "origin": "human", "verdict": verdict}


def _label_merge(state: AuditState, item: str, value: Mapping[str, Any]) -> None:
    """The label reaches over both, and the other one is over."""
    _label_edit(state, item, value)
    state.labels.setdefault(value["other"], {}).update(verdict="reject", merged_into=item)


def _progress(state: AuditState, item: str, value: Mapping[str, Any]) -> None:
    state.progress.setdefault(item, []).append((value["start"], value["stop"], value["mark"]))


def _pair_verdict(state: AuditState, item: str, value: Mapping[str, Any]) -> None:
    state.pairs[item] = {"verdict": value["verdict"]}


_APPLY: Mapping[str, Callable[[AuditState, str, Mapping[str, Any]], None]] = {
    "episode.outcome": _episode("success", "success"),
    "episode.failure_mode": _episode("failure_mode", "mode"),
    "episode.exclude": _episode("excluded", "excluded"),
    "episode.weight": _episode("weight", "weight"),
    "episode.note": _episode("note", "text"),
    "episode.progress": _progress,
    "label.verdict": _label_verdict,
    "label.edit": _label_edit,
    "label.create": _label_create,
    "label.split": _label_split,
    "label.merge": _label_merge,
    "pair.verdict": _pair_verdict,
}
