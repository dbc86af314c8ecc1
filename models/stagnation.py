"""Stagnation labels: where the robot was stuck, per second and relative to the task, with the numbers that say why.

With v the value scaled by the task's training quantiles and T_med the task's median duration, a robot at nominal speed
gains 1/T_med per second. p_t = v_t - `slow` t / T_med is the lead over a pace at which the robot counts as flat; since
it falls while the robot is slower than that and rises while it is faster, its peak is where the robot stopped, at any
frame rate (the change point of Page's statistic max p - p, Biometrika 1954). Within one stretch of robot control a
stall begins where

    plateau:  p has made no new maximum for `patience` T_med, and the fitted slope of v is at most `slow` / T_med
    decline:  v is `drop` below its best, and its fitted slope is at most -`slow` / T_med

and lasts until the slope reaches `resume` / T_med, or control changes hands; both maxima start anew there. That
`resume` lies above `slow` keeps one stall from being cut in two by noise. Causal labels begin at the step that knows;
label-time ones (the default) at the step after the maximum of p or v, which only hindsight knows, and must not reach a
trigger's evaluation as its own truth.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from episodes.errors import DataRefused, UsageError
from episodes.record import ActionSource
from models.curve import Curve, Flags, as_curve, as_source, as_time, control_runs, flags_of

TERMS = ("slope_per_s", "range", "gap_s", "drop", "shortfall")
ROUNDING_S = 1e-9
"""ten steps of 0.1 s are a window of 1 s, whatever their binary sum"""


@dataclass(frozen=True, slots=True, kw_only=True)
class StagnationConfig:
    """How far from normal is stuck. T_med is the task's median duration, nominal speed is one value range in T_med.

    The defaults are those with which the takeovers of simulated training episodes were best announced, at less than a
    fifth of the steps of clean successes marked.
    """

    window: float = 0.2
    """trailing window of slope, range and shortfall, T_med"""
    patience: float = 0.25
    """time without a new lead over the flat pace after which a flat value is a plateau, T_med"""
    slow: float = 0.3
    """the flat pace: slope at or below which the value is flat, share of nominal speed"""
    resume: float = 0.6
    """slope at which a stall is over, share of nominal speed"""
    drop: float = 0.12
    """fall below the best value that makes a decline, share of the value range"""
    max_gap_s: float = 0.5
    """pause between two steps that no window crosses, seconds"""

    def __post_init__(self) -> None:
        positive = (self.window, self.patience, self.drop, self.max_gap_s)
        if not all(0 < x < np.inf for x in positive) or not 0 <= self.slow < self.resume < np.inf:
            raise UsageError(f"{self} cannot mine; use finite numbers above 0 and 0 <= slow < resume")


@dataclass(frozen=True, slots=True, kw_only=True)
class StagnationParams(StagnationConfig):
    """The same with what is normal for the task."""

    median_duration_s: float
    """T_med: of successes nobody helped, seconds"""
    value_low: float = 0.0
    """1 % quantile of V over training successes"""
    value_high: float = 1.0
    """99 % quantile of V over training successes"""
    causal: bool = False
    """labels that a running robot could have had, instead of label-time ones"""

    def __post_init__(self) -> None:
        StagnationConfig.__post_init__(self)
        if not 0 < self.median_duration_s < np.inf:
            raise UsageError(f"the task lasts {self.median_duration_s} s; use a finite time above 0")
        if not 1e-3 <= self.value_high - self.value_low < np.inf:
            raise DataRefused(
                f"values of training successes lie in [{self.value_low:g}, {self.value_high:g}], which is constant;"
                " retrain the value model before mining"
            )

    @classmethod
    def fit(cls, curves: Sequence[npt.ArrayLike], durations_s: npt.ArrayLike, **settings: Any) -> StagnationParams:
        """Task constants from the training successes nobody helped: their value curves, each (T,), and durations.

        `settings` are fields of `StagnationConfig`, or `causal`.
        """
        if not len(curves):
            raise DataRefused("no training success without help to take the task's pace from; collect or decide some")
        low, high = np.quantile(np.concatenate([as_curve(curve) for curve in curves]), [0.01, 0.99])
        median = float(np.median(as_curve(durations_s, "durations_s")))
        return cls(median_duration_s=median, value_low=float(low), value_high=float(high), **settings)


@dataclass(frozen=True, slots=True)
class StagnationSegment:
    """One stall, steps [start, stop)."""

    start: int
    stop: int
    rule: str
    """plateau or decline: what gave it away"""
    detected: int
    """first step at which the rule held"""
    terms: Mapping[str, float]
    """the terms at `detected`, and the thresholds that they passed"""


@dataclass(frozen=True, slots=True)
class StagnationLabels:
    """Stalls of one episode."""

    label: Flags
    """(T,) bool"""
    segments: tuple[StagnationSegment, ...]
    """in order, never overlapping"""
    terms: Mapping[str, Curve]
    """(T,) each: slope_per_s (scaled value per second, NaN on the first step of a stretch), range (largest minus
    smallest scaled value in the window), gap_s (since the lead over the flat pace peaked), drop (below the best value);
    both since the stretch began or its last stall ended; shortfall (nominal minus actual gain over the window)"""


def mine_stagnation(
    values: npt.ArrayLike, *, time_s: npt.ArrayLike, source: npt.ArrayLike | None = None, params: StagnationParams
) -> StagnationLabels:
    """Stalls of one episode from its raw values (T,), times (T,) in seconds and `ActionSource` codes (T,).

    Steps of HUMAN and HOLD are never labelled; without `source` all steps are the robot's. No term looks across a
    change of source or a pause above `max_gap_s`. DataRefused on NaN, inf, times that stand still or unequal lengths.
    """
    curve = as_curve(values)
    time = as_time(time_s, len(curve))
    codes = None if source is None else as_source(source, len(curve))
    scaled = (curve - params.value_low) / (params.value_high - params.value_low)
    terms = {name: np.zeros(len(curve)) for name in TERMS}
    segments: list[StagnationSegment] = []
    for start, stop in control_runs(codes, time, length=len(curve), max_gap_s=params.max_gap_s):
        run_terms = {name: term[start:stop] for name, term in terms.items()}
        _fill_window_terms(run_terms, scaled[start:stop], time[start:stop], params)
        stalls = _find_stalls(run_terms, scaled[start:stop], time[start:stop], params)
        if codes is None or codes[start] not in (ActionSource.HUMAN, ActionSource.HOLD):
            segments += [_later(stall, start) for stall in stalls]
    label = flags_of([(segment.start, segment.stop) for segment in segments], len(curve))
    return StagnationLabels(label, tuple(segments), terms)


def _fill_window_terms(terms: Mapping[str, Curve], scaled: Curve, time: Curve, p: StagnationParams) -> None:
    """Slope, range and shortfall over the trailing window, shorter at the start of the run."""
    first = np.searchsorted(time, time - p.window * p.median_duration_s - ROUNDING_S)
    for i, start in enumerate(first.tolist()):
        x, y = time[start : i + 1] - time[start : i + 1].mean(), scaled[start : i + 1]
        terms["slope_per_s"][i] = x @ y / (x @ x) if i > start else np.nan
        terms["range"][i] = y.max() - y.min()
        terms["shortfall"][i] = (time[i] - time[start]) / p.median_duration_s - (y[-1] - y[0])


def _find_stalls(
    terms: Mapping[str, Curve], scaled: Curve, time: Curve, p: StagnationParams
) -> list[StagnationSegment]:
    """Stalls of one run; fills gap_s and drop. `peak` of p and `best` of v are steps, anew from where a stall ends."""
    stalls: list[StagnationSegment] = []
    lead = scaled - p.slow * time / p.median_duration_s
    peak = best = 0
    is_open = False
    for i, slope in enumerate(terms["slope_per_s"]):
        if is_open and slope >= p.resume / p.median_duration_s:
            stalls[-1] = replace(stalls[-1], stop=i)
            is_open, peak, best = False, i, i
        peak = i if lead[i] > lead[peak] else peak
        best = i if scaled[i] >= scaled[best] else best
        terms["gap_s"][i], terms["drop"][i] = time[i] - time[peak], scaled[best] - scaled[i]
        rule = "" if is_open else _rule(terms, i, p)
        if rule:
            onset = i if p.causal else 1 + {"plateau": peak, "decline": best}[rule]
            stalls.append(StagnationSegment(onset, len(scaled), rule, i, _explanation(terms, i, rule, p)))
            is_open = True
    return stalls


def _rule(terms: Mapping[str, Curve], i: int, p: StagnationParams) -> str:
    """The rule that holds at step i, or nothing."""
    flat = p.slow / p.median_duration_s
    if terms["drop"][i] >= p.drop and terms["slope_per_s"][i] <= -flat:
        return "decline"
    if terms["gap_s"][i] >= p.patience * p.median_duration_s - ROUNDING_S and terms["slope_per_s"][i] <= flat:
        return "plateau"
    return ""


def _explanation(terms: Mapping[str, Curve], i: int, rule: str, p: StagnationParams) -> dict[str, float]:
    shown = {name: float(term[i]) for name, term in terms.items()}
    flat = p.slow / p.median_duration_s
    if rule == "decline":
        return {**shown, "slope_threshold_per_s": -flat, "drop_threshold": p.drop}
    return {**shown, "slope_threshold_per_s": flat, "gap_threshold_s": p.patience * p.median_duration_s}


def _later(stall: StagnationSegment, steps: int) -> StagnationSegment:
    return replace(stall, start=stall.start + steps, stop=stall.stop + steps, detected=stall.detected + steps)
