"""Which rule's intervals become the labels that training reads: ours, or one of the two published ones.

The published rules mark steps; an interval of theirs is a run of marked steps within one stretch of robot control, so a
person's correction is never labelled. They are judged by the same checks as ours, which they fail on most data.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from episodes.errors import UsageError
from episodes.record import ActionSource, Array
from models.curve import true_runs
from models.dataset import StepData
from models.mining import ThreeRuleParams, mine_seed_rule, mine_three_rules
from models.stagnation import StagnationSegment

RULES = ("stagnation", "three_rules", "seed_rule")


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelConfig:
    """Which labels are made, and how they are held against people."""

    rule: str = "stagnation"
    """stagnation (ours), three_rules (the release's) or seed_rule (the blog's)"""
    reaction_s: float = 0.5
    """of a person, between deciding to take over and the first step under their control"""

    def __post_init__(self) -> None:
        if self.rule not in RULES:
            raise UsageError(f"there is no label rule {self.rule!r}; use one of {', '.join(RULES)}")
        if not 0 <= self.reaction_s < np.inf:
            raise UsageError(f"a reaction of {self.reaction_s} s is none; use a finite time, 0 or more")


def published_segments(
    episode: StepData, values: Array, rule: str, settings: Mapping[str, Any] | None = None
) -> list[StagnationSegment]:
    """Intervals of a published rule, with the share of their steps that each part of it marks.

    `settings`: arguments of `mine_seed_rule` or fields of `ThreeRuleParams`, for a preview; labels are made without.
    """
    parts = _flags(values, rule, settings or {})
    marked = np.any(list(parts.values()), axis=0)
    segments = []
    for start, stop in episode.runs:
        if episode.source[start] in (ActionSource.HUMAN, ActionSource.HOLD):
            continue
        for first, after in true_runs(marked[start:stop]):
            own = slice(start + first, start + after)
            shares = {name: float(flags[own].mean()) for name, flags in parts.items()}
            rule_of = max(shares, key=lambda name: shares[name])
            terms = {**shares, "gain": float(values[own][-1] - values[own][0]), "range": float(np.ptp(values[own]))}
            segments.append(StagnationSegment(own.start, own.stop, rule_of, own.start, terms))
    return segments


def _flags(values: Array, rule: str, settings: Mapping[str, Any]) -> dict[str, Array]:
    if rule == "seed_rule":
        return {"seed_rule": mine_seed_rule(values, **settings)}
    found = mine_three_rules(values, ThreeRuleParams(**settings))
    return {"decline": found.decline, "plateau": found.plateau, "abrupt_drop": found.abrupt_drop}
