"""What another rule, or other settings of one, would label: counted before anything is written.

Every rule marks steps; a maximal run of them is an interval. `stagnation` is the rule that is trained on, and its
intervals here are those a materialization with these settings would mine, because both call the same functions. The
others are the published ones, and `risk`: the steps at which R_t is above a threshold.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from episodes.errors import UsageError
from episodes.record import Array
from models.agreement import Agreement, Interval, agreement, aligned_takeovers, success_rate_of_labels
from models.curve import Flags, true_runs
from models.dataset import StepData
from models.labelling import task_params
from models.mining import ThreeRuleLabels, ThreeRuleParams, mine_seed_rule, mine_three_rules
from models.risk import value_risk
from models.stagnation import StagnationConfig, mine_stagnation

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
_STEPS = Setting("window", 8, "K", "values looked back at")
_GAIN = Setting("epsilon", 0.005, "ε", "gain expected of one step")
RULES: Mapping[str, tuple[Setting, ...]] = {
    "stagnation": _of(StagnationConfig(), _OURS),
    "plateau": (
        _STEPS,
        Setting("flat_step", 0.03, "ε", "largest change of a flat step"),
        Setting("flat_share", 0.6, "τ", "least share of flat steps"),
    ),
    "decline": (
        _STEPS,
        Setting("slope", -0.01, "ε", "fitted change per step at or below which it declines"),
        Setting("decline", 0.05, "τ", "least fall over the window"),
    ),
    "abrupt_drop": (_STEPS, Setting("drop", 0.12, "τ", "least fall in one step")),
    "seed_rule": (_STEPS, _GAIN),
    "risk": (_STEPS, _GAIN, Setting("threshold", 0.02, "τ", "R_t above it is marked")),
}
"""the rules and what may be moved of each, trained one first"""


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
    announced, takeovers = aligned_takeovers(flags, known)
    return Effect(
        found=found,
        flags=flags,
        intervals=len(every),
        by_rule=dict(sorted(Counter(every).items())),
        steps=sum(int(each.sum()) for each in flags.values()),
        success_rate=success_rate_of_labels(flags, known),
        announced=announced,
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
    if rule != "stagnation":
        marks = _marking(rule, {setting.name: setting.default for setting in RULES[rule]} | dict(settings))
        return [[(*run, rule) for run in true_runs(marks(e, values[e.episode_id]))] for e in episodes]
    params = task_params(episodes, values, StagnationConfig(**settings))
    labels = [mine_stagnation(values[e.episode_id], time_s=e.time_s, source=e.source, params=params) for e in episodes]
    return [[(s.start, s.stop, s.rule) for s in each.segments] for each in labels]


def _marking(rule: str, settings: Mapping[str, float]) -> Callable[[StepData, Array], Flags]:
    """(episode, curve) -> (T,) bool of a published rule."""
    window = round(settings["window"])
    if rule == "seed_rule":
        return lambda _, curve: mine_seed_rule(curve, window, settings["epsilon"])
    if rule == "risk":
        return lambda episode, curve: _risk(episode, curve, window, settings["epsilon"]) > settings["threshold"]
    own: dict[str, Any] = {**settings, "window": window}
    params = ThreeRuleParams(**own)
    assert rule in {each.name for each in fields(ThreeRuleLabels)}
    return lambda _, curve: np.asarray(getattr(mine_three_rules(curve, params), rule))


def _risk(episode: StepData, curve: Array, window: int, epsilon: float) -> Array:
    """(T,) R_t, begun anew at every change of control."""
    runs = [value_risk(curve[start:stop], window=window, epsilon=epsilon) for start, stop in episode.runs]
    return np.concatenate(runs)


def _flags(intervals: Found, length: int) -> Flags:
    flags = np.zeros(length, dtype=bool)
    for start, stop, _ in intervals:
        flags[start:stop] = True
    return flags
