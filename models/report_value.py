"""The report on V and W: order, separation of outcomes, calibration, and whether the band holds what it says."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from episodes.record import Array
from models.dataset import StepData
from models.evaluation import Measured, auroc_of, final_score
from models.metrics import value_order_correlation
from models.progress import progress_targets
from models.report_rows import Row, resampled
from models.value import ValueCurves

SECTION = "Value"
BINS = 5
TIMES = (0.5, 1.0, 1.5)
"""median durations after which success is foretold: shares of an episode's own length would tell its length"""
VOC_PAPER = ".945 ManiRewardBench, .857 OXE (TOPReward)"
VOC_WORDS = "the same statistic; theirs of large vision-language models on other robots' videos, without training"
AUROC_PAPER = ".826 (TOPReward)"
AUROC_WORDS = "the same statistic; theirs of one score a video, over many tasks at once"


@dataclass(frozen=True, slots=True)
class Judged:
    """One episode that nobody helped, with its curves."""

    episode: StepData
    curves: ValueCurves

    @property
    def success(self) -> bool:
        return bool(self.episode.success)


def value_rows(episodes: Sequence[tuple[StepData, ValueCurves]], of: str, median_duration_s: float) -> list[Row]:
    """Every line about V and W on some episodes, each judged by nets that did not train on it."""
    judged = [Judged(e, curves) for e, curves in episodes if e.success is not None and e.unaided]
    successes = [one for one in judged if one.success]
    rows = [*_order(judged), *_separation(judged, median_duration_s), *_calibration(judged, median_duration_s)]
    rows += [("share of steps of successes inside value_lo..value_hi", _covered(successes, _in_band), "", "", "")]
    rows += [("the same for the spread of the nets, lowest to highest", _covered(successes, _in_spread), "", "", "")]
    return [
        Row(section=SECTION, name=name, of=of, figure=figure, unit=unit, paper=paper, comparable=words)
        for name, figure, unit, paper, words in rows
    ]


Line = tuple[str, Measured, str, str, str]


def _order(judged: Sequence[Judged]) -> list[Line]:
    orders = [(one.success, value_order_correlation(one.curves.value)) for one in judged]

    def mean(items: Sequence[tuple[bool, float]], success: bool) -> float:
        found = [order for kind, order in items if kind is success]
        return float(np.mean(found)) if found else math.nan

    good, bad = (Measured.mean([order for found, order in orders if found is kind]) for kind in (True, False))
    falls = [(int((np.diff(one.curves.value) < -0.02).sum()), len(one.curves.value) - 1) for one in judged]
    return [
        ("VOC of V on successes", good, "", VOC_PAPER, VOC_WORDS),
        ("VOC of V on failures", bad, "", "", "VOC alone separates nothing"),
        ("difference of the two", resampled(orders, lambda s: mean(s, True) - mean(s, False)), "", "", ""),
        ("falls of V by more than .02", resampled(falls, _per_100), "per 100 steps", "", ""),
    ]


def _per_100(counted: Sequence[tuple[int, int]]) -> float:
    return 100 * sum(falls for falls, _ in counted) / max(1, sum(steps for _, steps in counted))


def _separation(judged: Sequence[Judged], median_duration_s: float) -> list[Line]:
    outcome = [one.success for one in judged]
    scored = {
        "AUROC of W, last fifth": [final_score(one.curves.success_score) for one in judged],
        "AUROC of V, last fifth": [final_score(one.curves.value) for one in judged],
        "AUROC of V, last step": [float(one.curves.value[-1]) for one in judged],
        "AUROC of V, highest": [float(one.curves.value.max()) for one in judged],
        "AUROC of the duration alone": [-len(one.episode) / one.episode.fps for one in judged],
    }
    lines = [(name, auroc_of(s, outcome), "", AUROC_PAPER, AUROC_WORDS) for name, s in scored.items()]
    lines[-1] = (*lines[-1][:3], "", "the control: a failure lasts until the time is over")
    for times in TIMES:
        name = f"AUROC of W after {times:g} T_med, of those still running"
        running, scores = _at(judged, times * median_duration_s, "success_score")
        lines.append((name, auroc_of(scores, [one.success for one in running]), "", "", ""))
    return lines


def _at(judged: Sequence[Judged], time_s: float, curve: str) -> tuple[list[Judged], list[float]]:
    """The episodes that last longer than `time_s`, and a curve of each at that time."""
    running = [one for one in judged if len(one.episode) > round(time_s * one.episode.fps)]
    return running, [float(getattr(one.curves, curve)[round(time_s * one.episode.fps)]) for one in running]


def _calibration(judged: Sequence[Judged], median_duration_s: float) -> list[Line]:
    def error(items: Sequence[tuple[float, bool]]) -> float:
        score, outcome = np.array([s for s, _ in items]), np.array([float(o) for _, o in items])
        place = np.minimum((score * BINS).astype(int), BINS - 1)
        gaps = [abs(score[place == b].sum() - outcome[place == b].sum()) for b in range(BINS)]
        return float(sum(gaps) / len(items))

    lines: list[Line] = []
    for curve, symbol in (("value", "V"), ("success_score", "W")):
        running, scores = _at(judged, median_duration_s, curve)
        pairs = [(score, one.success) for score, one in zip(scores, running, strict=True)]
        words = "V is progress, no probability: the figure says how far it is from one" if symbol == "V" else ""
        name = f"calibration error of {symbol} after T_med against success, {BINS} bins"
        lines.append((name, resampled(pairs, error), "", "", words))
    return lines


def _covered(successes: Sequence[Judged], inside: Callable[[Judged], Array]) -> Measured:
    """Share of steps, pooled over the episodes that more than nothing can be said of."""
    counted = [(int(flags.sum()), len(flags)) for flags in map(inside, successes) if len(flags)]
    return resampled(counted, lambda s: sum(hit for hit, _ in s) / sum(steps for _, steps in s))


def _in_band(one: Judged) -> Array:
    label = progress_targets(len(one.episode), True)
    return np.asarray((one.curves.value_lo <= label) & (label <= one.curves.value_hi))


def _in_spread(one: Judged) -> Array:
    """Empty where one net alone may judge the episode: it has no spread."""
    nets = one.curves.net_values
    label = progress_targets(len(one.episode), True)
    inside = (nets.min(axis=0) <= label) & (label <= nets.max(axis=0))
    return np.asarray(inside if len(nets) > 1 else np.zeros(0, bool))
