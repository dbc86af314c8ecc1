"""What another rule, or other settings of one, would label: counted before anything is written.

The intervals are those a materialization would mine, because both call the same functions; `risk`, which no stage
mines, marks the steps of robot control at which R_t is above a threshold.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from episodes.errors import UsageError
from episodes.record import ActionSource, Array
from models.agreement import Agreement, Interval, agreement, aligned_takeovers, success_rate_of_labels
from models.announcement import announced
from models.curve import Flags, true_runs
from models.dataset import StepData
from models.label_rules import LabelConfig, published_segments
from models.labelling import task_params
from models.mining import ThreeRuleParams
from models.risk import value_risk
from models.stagnation import StagnationConfig, StagnationParams, StagnationSegment, mine_stagnation

Found = list[tuple[int, int, str]]
"""intervals of one episode: start, stop, and what gave each away"""


@dataclass(frozen=True, slots=True)
class Setting:
    """One number of a rule that may be moved."""

    name: str
    default: float
    symbol: str = ""
    """K the window, epsilon the gain expected of a step, tau the threshold"""
    about: str = ""


def _of(config: Any, symbols: Mapping[str, tuple[str, str]]) -> tuple[Setting, ...]:
    return tuple(Setting(name, getattr(config, name), *told) for name, told in symbols.items())


_OURS = {
    "window": ("K", "trailing window, in median durations of the task"),
    "slow": ("ε", "slope at or below which the value is flat, share of nominal speed"),
    "drop": ("τ", "fall below the best value that makes a decline"),
    "patience": ("", "time without a new lead after which flat is stuck, median durations"),
    "resume": ("", "slope at which a stall is over, share of nominal speed"),
}
_RELEASE = {
    "window": ("K", "values looked back at"),
    "flat_step": ("ε", "largest change of a flat step"),
    "drop": ("τ", "least one-step fall of an abrupt drop"),
    "slope": ("", "fitted change per step at or below which it declines"),
    "decline": ("", "least fall over a declining window"),
}
_SEED = (Setting("k", 8, "K", "gains looked back at"), Setting("epsilon", 0.005, "ε", "gain expected of one step"))
_RISK = (Setting("window", 8, "K", "gains looked back at"), *_SEED[1:], Setting("threshold", 0.02, "τ", "of R_t"))
RULES: Mapping[str, tuple[Setting, ...]] = {
    "stagnation": _of(StagnationConfig(), _OURS),
    "three_rules": _of(ThreeRuleParams(), _RELEASE),
    "seed_rule": _SEED,
    "risk": _RISK,
}
"""the rules and what may be moved of each, ours first"""
WHOLE = ("window", "k")
"""settings of the published rules that count steps"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """What a rule would label, and how that agrees with what is known."""

    found: Mapping[str, Found]
    """episode_id -> its intervals"""
    flags: Mapping[str, Flags] = field(repr=False)
    """episode_id -> (T,) bool"""
    intervals: int
    by_rule: Mapping[str, int]
    steps: int
    lead_s: float
    """median time from a label to the person who takes over, before their reaction; NaN without one"""
    success_rate: float
    """share of the steps of unaided successes"""
    announced: int
    """takeovers that a label shortly precedes"""
    takeovers: int
    audited: Agreement
    """with what people decided about labels"""
    marked: Agreement
    """with what people saw of progress"""


Judged = tuple[Sequence[Interval], Sequence[Interval]]
"""intervals in which a person saw the robot stuck, and in which it was not"""


def effect(
    rule: str,
    settings: Mapping[str, float],
    episodes: Sequence[StepData],
    values: Mapping[str, Array],
    *,
    audited: Judged = ((), ()),
    marked: Judged = ((), ()),
) -> Effect:
    """What `mined` finds, counted."""
    return counted(mined(rule, settings, episodes, values), episodes, audited=audited, marked=marked)


def counted(
    found: Mapping[str, Found], episodes: Sequence[StepData], *, audited: Judged = ((), ()), marked: Judged = ((), ())
) -> Effect:
    """Count the intervals of episodes and hold them against what is known."""
    known = [e for e in episodes if e.episode_id in found]
    flags = {e.episode_id: _flags(found[e.episode_id], len(e)) for e in known}
    every = [why for intervals in found.values() for _, _, why in intervals]
    aligned, takeovers = aligned_takeovers(flags, known)
    leads = announced(flags, known, LabelConfig().reaction_s).leads_s
    return Effect(
        found=found,
        flags=flags,
        intervals=len(every),
        by_rule=dict(sorted(Counter(every).items())),
        steps=sum(int(each.sum()) for each in flags.values()),
        lead_s=float(np.median(leads)) if leads else math.nan,
        success_rate=success_rate_of_labels(flags, known),
        announced=aligned,
        takeovers=takeovers,
        audited=agreement(flags, stuck=audited[0], free=audited[1]),
        marked=agreement(flags, stuck=marked[0], free=marked[1]),
    )


def mined(
    rule: str, settings: Mapping[str, float], episodes: Sequence[StepData], values: Mapping[str, Array]
) -> dict[str, Found]:
    """Label every episode that has a curve in `values` (episode_id -> (T,) V) by one rule.

    `settings` hold any of the rule's names in `RULES`. `UsageError` for values the rule cannot have, `DataRefused`
    where there is no pace to take.
    """
    known = [e for e in episodes if e.episode_id in values]
    return {e.episode_id: each for e, each in zip(known, _mined(rule, settings, known, values), strict=True)}


def _mined(
    rule: str, settings: Mapping[str, float], episodes: Sequence[StepData], values: Mapping[str, Array]
) -> list[Found]:
    strange = set(settings) - {setting.name for setting in RULES.get(rule, ())}
    if rule not in RULES or strange:
        raise UsageError(f"there is no rule {rule!r} with {sorted(strange)}; the rules are {', '.join(RULES)}")
    if rule == "stagnation":
        params = task_params(episodes, values, StagnationConfig(**settings))
        segments = [_ours(episode, values[episode.episode_id], params) for episode in episodes]
    else:
        given = {name: round(value) if name in WHOLE else value for name, value in settings.items()}
        segments = [_published(episode, values[episode.episode_id], rule, given) for episode in episodes]
    return [[(s.start, s.stop, s.rule) for s in each] for each in segments]


def _ours(episode: StepData, curve: Array, params: StagnationParams) -> Sequence[StagnationSegment]:
    return mine_stagnation(curve, time_s=episode.time_s, source=episode.source, params=params).segments


def _published(episode: StepData, curve: Array, rule: str, given: Mapping[str, Any]) -> Sequence[StagnationSegment]:
    if rule != "risk":
        return published_segments(episode, curve, rule, given)
    found = {setting.name: setting.default for setting in RULES["risk"]} | dict(given)
    segments = []
    for start, stop in episode.runs:
        if episode.source[start] not in (ActionSource.HUMAN, ActionSource.HOLD):
            risk = value_risk(curve[start:stop], window=int(found["window"]), epsilon=found["epsilon"])
            runs = [(start + first, start + after) for first, after in true_runs(risk > found["threshold"])]
            segments += [StagnationSegment(*run, "risk", run[0], {}) for run in runs]
    return segments


def _flags(intervals: Found, length: int) -> Flags:
    flags = np.zeros(length, dtype=bool)
    for start, stop, _ in intervals:
        flags[start:stop] = True
    return flags
