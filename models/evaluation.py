"""What the value and the trigger are worth on episodes they did not train on; every figure with n and interval.

The truth about stalls is the simulator's potential (`derived/privileged`), read here for scoring and nowhere else.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
import polars as pl

from episodes.record import ActionSource, Array
from models.curve import true_runs
from models.dataset import StepData
from models.metrics import (
    auroc_interval,
    bootstrap_interval,
    intervention_rate,
    success_auroc,
    value_order_correlation,
    wilson_interval,
)

NOMINAL = 1.5
"""a nominal success takes at most this many median durations"""
LAST_SHARE = 0.2
"""W of an episode is its mean over this last share of the steps"""
STALL_WINDOW_S = 1.0
"""a privileged stall is known this long after its onset"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One figure."""

    value: float
    lo: float
    hi: float
    """95 % interval"""
    n: int
    """episodes, or steps where said"""

    @classmethod
    def mean(cls, values: Sequence[float]) -> Measured:
        """Mean with a bootstrap interval."""
        lo, hi = bootstrap_interval(values)
        return cls(value=float(np.mean(values)) if len(values) else math.nan, lo=lo, hi=hi, n=len(values))

    @classmethod
    def share(cls, flags: Sequence[bool]) -> Measured:
        """Share of True with a Wilson interval."""
        lo, hi = wilson_interval(sum(flags), len(flags))
        return cls(value=sum(flags) / len(flags) if flags else math.nan, lo=lo, hi=hi, n=len(flags))

    def json(self) -> dict[str, float | int | None]:
        """For a report: what is undefined is null."""
        plain = {"value": self.value, "lo": self.lo, "hi": self.hi}
        return {k: (None if math.isnan(v) else round(float(v), 6)) for k, v in plain.items()} | {"n": int(self.n)}


def figures_json(report: ValueReport | TriggerReport | ArmReport) -> dict[str, dict[str, float | int | None]]:
    """Every figure of a report by name, with its interval and n."""
    return {field.name: getattr(report, field.name).json() for field in fields(report)}


def final_score(curve: Array) -> float:
    """Mean over the last fifth of an episode."""
    return float(np.mean(curve[-max(1, round(LAST_SHARE * len(curve))) :]))


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueReport:
    """Value calibration on held-out episodes that nobody helped."""

    voc_nominal: Measured
    voc_all: Measured
    success_auroc: Measured
    """of W"""
    length_auroc: Measured
    """of minus the duration alone: the control"""
    value_at_end: Measured
    value_at_start: Measured


def value_report(
    episodes: Sequence[StepData],
    values: Mapping[str, Array],
    scores: Mapping[str, Array],
    *,
    median_duration_s: float,
) -> ValueReport:
    """`values` and `scores`: episode_id -> (T,) V and W, predicted by nets that did not train on the episode."""
    judged = [e for e in episodes if e.success is not None and e.unaided and e.episode_id in values]
    successes = [e for e in judged if e.success]
    nominal = [e for e in successes if len(e) / e.fps <= NOMINAL * median_duration_s]
    outcome = [bool(e.success) for e in judged]
    return ValueReport(
        voc_nominal=Measured.mean([value_order_correlation(values[e.episode_id]) for e in nominal]),
        voc_all=Measured.mean([value_order_correlation(values[e.episode_id]) for e in successes]),
        success_auroc=auroc_of([final_score(scores[e.episode_id]) for e in judged], outcome),
        length_auroc=auroc_of([-len(e) / e.fps for e in judged], outcome),
        value_at_end=Measured.mean([float(values[e.episode_id][-1]) for e in successes]),
        value_at_start=Measured.mean([float(values[e.episode_id][0]) for e in judged]),
    )


def auroc_of(scores: Sequence[float], outcome: Sequence[bool]) -> Measured:
    """AUROC of one score an episode, with its interval; undefined where one outcome is missing."""
    lo, hi = auroc_interval(scores, outcome)
    return Measured(value=success_auroc(scores, outcome), lo=lo, hi=hi, n=len(outcome))


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerReport:
    """One alarm against the simulator's privileged stall, on runs the policy drove alone."""

    precision: Measured
    """of alarmed steps, those inside a privileged stall; n is steps, the interval resamples episodes"""
    recall: Measured
    failures_flagged: Measured
    successes_alarmed: Measured
    """at any step, also in a stall that the policy got out of: what the alarm at `alpha` is bounded by"""
    successes_alarmed_outside_labels: Measured
    """at a step that no audited label calls a stall: what the early alarm at `early_alpha` is bounded by"""
    balanced_accuracy: Measured
    delay_s: Measured
    """seconds from the onset of a failure's last stall to the first alarm after it, where there is one"""


def trigger_report(
    episodes: Sequence[StepData],
    triggers: Mapping[str, Array],
    stalled: Mapping[str, Array],
    labels: Mapping[str, Array],
) -> TriggerReport:
    """`triggers`, `stalled`: episode_id -> (T,) bool; episodes without either are left out.

    `labels`: episode_id -> (T,) 1, 0 or NaN, the audited stagnation of those that are judged.
    """
    judged = [
        e
        for e in episodes
        if e.policy_alone and e.success is not None and e.episode_id in triggers and e.episode_id in stalled
    ]
    pairs = [(triggers[e.episode_id], stalled[e.episode_id]) for e in judged]
    flagged = [bool(triggers[e.episode_id].any()) for e in judged if not e.success]
    successes = [(triggers[e.episode_id], labels[e.episode_id]) for e in judged if e.success]
    alarmed = [bool(trigger.any()) for trigger, _ in successes]
    delays = [_delay_s(e, triggers[e.episode_id], stalled[e.episode_id]) for e in judged if not e.success]
    return TriggerReport(
        precision=_step_share(pairs, lambda t, s: t),
        recall=_step_share(pairs, lambda t, s: s),
        failures_flagged=Measured.share(flagged),
        successes_alarmed=Measured.share(alarmed),
        successes_alarmed_outside_labels=Measured.share([bool((t & (label == 0)).any()) for t, label in successes]),
        balanced_accuracy=_balanced(flagged, alarmed),
        delay_s=Measured.mean([d for d in delays if math.isfinite(d)]),
    )


def _step_share(pairs: Sequence[tuple[Array, Array]], whole: Callable[[Array, Array], Array]) -> Measured:
    """Share of `whole` steps at which both hold, pooled; the interval resamples episodes."""
    counts = np.array([[np.sum(t & s), np.sum(whole(t, s))] for t, s in pairs], float).reshape(-1, 2)
    hits, total = counts.sum(axis=0)
    lo, hi = math.nan, math.nan
    if total:
        rng = np.random.default_rng(0)
        draws = counts[rng.integers(0, len(counts), (1000, len(counts)))].sum(axis=1)
        lo, hi = np.quantile(draws[draws[:, 1] > 0, 0] / draws[draws[:, 1] > 0, 1], [0.025, 0.975])
    return Measured(value=hits / total if total else math.nan, lo=float(lo), hi=float(hi), n=int(total))


def _balanced(flagged: Sequence[bool], alarmed: Sequence[bool]) -> Measured:
    n = len(flagged) + len(alarmed)
    if not flagged or not alarmed:
        return Measured(value=math.nan, lo=math.nan, hi=math.nan, n=n)
    rng = np.random.default_rng(0)
    tpr, fpr = np.asarray(flagged, float), np.asarray(alarmed, float)
    draws = [(rng.choice(tpr, len(tpr)).mean() + 1 - rng.choice(fpr, len(fpr)).mean()) / 2 for _ in range(1000)]
    lo, hi = np.quantile(draws, [0.025, 0.975])
    return Measured(value=float((tpr.mean() + 1 - fpr.mean()) / 2), lo=float(lo), hi=float(hi), n=n)


def _delay_s(episode: StepData, trigger: Array, stalled: Array) -> float:
    runs = true_runs(stalled)
    if not runs:
        return math.nan
    onset = max(0, runs[-1][0] - round(STALL_WINDOW_S * episode.fps))
    after = np.flatnonzero(trigger[onset:])
    return float(after[0] / episode.fps) if len(after) else math.nan


def privileged_stalls(privileged: pl.DataFrame) -> dict[str, Array]:
    """episode_id -> (T,) bool of the 1 s rule, from the simulator's own notes."""
    if privileged.is_empty():
        return {}
    grouped = privileged.sort("episode_id", "frame_index").group_by("episode_id", maintain_order=True)
    return {str(key[0]): rows["stalled"].to_numpy() for key, rows in grouped}


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmReport:
    """One arm of the closed loop: who drove, and how it ended."""

    success_rate: Measured
    intervention_rate: Measured
    """human steps / steps of known source, pooled; the interval resamples episodes"""
    recovery_rate: Measured
    """recovery steps / steps of known source, pooled"""
    human_steps: Measured
    """per episode"""


def arm_report(sources: Sequence[Array], successes: Sequence[bool]) -> ArmReport:
    """`sources`: the (T,) action sources of each episode."""
    recovery = [(s == ActionSource.RECOVERY, s != ActionSource.UNKNOWN) for s in sources]
    return ArmReport(
        success_rate=Measured.share(list(successes)),
        intervention_rate=_intervention_rate(sources),
        recovery_rate=_step_share(recovery, lambda t, s: s),
        human_steps=Measured.mean([float((s == ActionSource.HUMAN).sum()) for s in sources]),
    )


def _intervention_rate(sources: Sequence[Array]) -> Measured:
    pooled = np.concatenate([np.zeros(0, np.uint8), *sources])
    rate, lo, hi = intervention_rate(pooled), math.nan, math.nan
    if not math.isnan(rate):
        rows = np.random.default_rng(0).integers(0, len(sources), (1000, len(sources)))
        draws = [intervention_rate(np.concatenate([sources[i] for i in row])) for row in rows]
        lo, hi = np.nanquantile(draws, [0.025, 0.975])
    return Measured(value=rate, lo=float(lo), hi=float(hi), n=int((pooled != ActionSource.UNKNOWN).sum()))
