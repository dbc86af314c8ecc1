"""The kinds of decision there are, and what each may hold. A log takes nothing else.

Items: an episode id; a mined label `<episode_id>:<start>-<stop>`; a retrieved pair
`<query_episode>:<t>><goal_episode>:<t>`. Label ranges are steps, half open.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from episodes.errors import UsageError

OUTCOMES = ("success", "failure", "unknown")
FAILURE_MODES = ("slip", "jam", "wrong_grasp", "drop", "timeout", "other")
LABEL_VERDICTS = ("accept", "reject", "unsure")
PAIR_VERDICTS = ("valid", "wrong_phase", "unreachable", "unsafe", "not_better")
MARKS = ("progress", "stagnant", "regress", "none")
"""what a person saw the robot do over some steps; "none" takes a mark away again"""

Rule = Callable[[Any], bool]


def _one_of(*choices: str) -> Rule:
    return lambda value: isinstance(value, str) and value in choices


def _is_step(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_weight(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < math.inf


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


_RANGE: dict[str, Rule] = {"start": _is_step, "stop": _is_step}

KINDS: dict[str, dict[str, Rule]] = {
    "episode.outcome": {"success": _one_of(*OUTCOMES)},
    "episode.failure_mode": {"mode": _one_of(*FAILURE_MODES)},
    "episode.exclude": {"excluded": lambda value: isinstance(value, bool)},
    "episode.weight": {"weight": _is_weight},
    "episode.note": {"text": _is_text},
    "episode.progress": {**_RANGE, "mark": _one_of(*MARKS)},
    "label.verdict": {"verdict": _one_of(*LABEL_VERDICTS)},
    "label.edit": _RANGE,
    "label.create": {"episode_id": _is_text, **_RANGE},
    "label.split": {"episode_id": _is_text, **_RANGE, "at": _is_step},
    "label.merge": {**_RANGE, "other": _is_text},
    "pair.verdict": {"verdict": _one_of(*PAIR_VERDICTS)},
    "undo": {"seq": _is_step},
}


def check(kind: str, item: str, value: Mapping[str, Any]) -> None:
    """Raise `UsageError` unless `value` is what an event of this kind holds."""
    rules = KINDS.get(kind)
    if rules is None:
        raise UsageError(f"there is no decision of kind {kind!r}; use one of {', '.join(KINDS)}")
    if not item:
        raise UsageError(f"a decision of kind {kind} names no item; give the episode, label or pair id")
    wrong = sorted(set(rules) ^ set(value)) or [key for key, rule in rules.items() if not rule(value[key])]
    if wrong:
        bound = "; a weight is a finite number, zero or more" if "weight" in rules else ""
        raise UsageError(f"{kind} for {item} is wrong in {', '.join(wrong)}; it holds {', '.join(rules)}{bound}")
    if "stop" in rules and value["start"] >= value["stop"]:
        raise UsageError(f"{kind} for {item} ends at step {value['stop']} before it starts; give start < stop")
    if "at" in rules and not value["start"] < value["at"] < value["stop"]:
        raise UsageError(f"{kind} for {item} cuts at step {value['at']}, which leaves one part empty; cut inside it")
