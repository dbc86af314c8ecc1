"""The forms of a trigger: what of the two curves makes its score, and where its thresholds come from.

    sum      CUSUM / its threshold + probability / its threshold, conformal on the sum (the default)
    cusum    the CUSUM of V alone: no label, no second network
    head     the learned probability alone
    either   the larger of the two shares, each at alpha / 2: their union sees a false alarm with alpha at most, exactly
    tvr      sigmoid of the predicted temporal value-risk above a fixed tau, as published: nothing is calibrated

A budget replaces the early threshold: the lowest one at which a success sees at most `budget_per_min` triggers a minute
in expectation. It is conformal risk control (Angelopoulos et al. 2022) on the triggers of an episode, of which more
than `MOST` count as `MOST`: (sum of the n calibration counts + MOST) / (n + 1) <= budget x mean minutes of a success.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from episodes.errors import DataRefused
from episodes.record import Array
from models.calibration import Calibration, Thresholds, thresholds
from models.conformal import needed

FORMS = ("sum", "cusum", "head", "either", "tvr")
MOST = 3
"""triggers of one episode, in a budget"""
LEVELS = 400
"""thresholds a budget chooses from: quantiles of the calibration scores"""


def score_of(form: str, cusum_share: Array | float, probability_share: Array | float) -> Array | float:
    """The score of two curves in units of their thresholds, or of one step's two numbers."""
    if form == "cusum":
        return cusum_share
    if form in ("head", "tvr"):
        return probability_share
    return np.maximum(cusum_share, probability_share) if form == "either" else cusum_share + probability_share


def episodes_needed(form: str, alpha: float) -> int:
    """Calibration successes without which nothing can be promised."""
    return 0 if form == "tvr" else needed(alpha / 2 if form == "either" else alpha)


def form_thresholds(
    form: str, runs: Sequence[Calibration], *, alpha: float, early_alpha: float, tau: float
) -> Thresholds:
    """Both thresholds of a form; `runs` are the successes on which the trigger must stay silent."""
    if form == "tvr":
        fired = [bool((run.probability[run.own] > tau).any()) for run in runs]
        rate = float(np.mean(fired)) if fired else math.nan
        return Thresholds(cusum=1.0, probability=1.0, alarm=tau, early=tau, alarm_rate=rate)
    if form == "sum":
        return thresholds(runs, alpha=alpha, early_alpha=early_alpha)
    scale = thresholds(runs, alpha=alpha / 2 if form == "either" else alpha, early_alpha=early_alpha)
    shares = [_share(form, run, scale) for run in runs]
    own = thresholds(shares, alpha=alpha, early_alpha=early_alpha)
    alarm = 1.0 if form == "either" else own.alarm * own.cusum
    fired = [bool((run.cusum[run.own] > alarm).any()) for run in shares]
    early = min(alarm, own.early * own.cusum)
    return replace(scale, alarm=alarm, early=early, alarm_rate=float(np.mean(fired)))


def _share(form: str, run: Calibration, scale: Thresholds) -> Calibration:
    """The run with its score as the one curve that counts."""
    score = np.asarray(score_of(form, run.cusum / scale.cusum, run.probability / scale.probability))
    return replace(run, cusum=score, probability=np.zeros(len(score)))


@dataclass(slots=True)
class AlarmGate:
    """The online alarm with hysteresis and cool-down: on above `threshold`, off at `stay` of it or below.

    After it went off it stays off for `cooldown` steps. With `stay` 1 and no cool-down it is `score > threshold`.
    """

    threshold: float
    stay: float = 1.0
    cooldown: int = 0
    _on: bool = False
    _wait: int = 0

    def reset(self) -> None:
        """A new episode or another actor: off, and nothing to wait for."""
        self._on, self._wait = False, 0

    def update(self, score: float) -> bool:
        """Whether the alarm is on after one more step."""
        before = self._on
        self._on = self._wait == 0 and score > (self.threshold * self.stay if before else self.threshold)
        self._wait = self.cooldown if before and not self._on else max(0, self._wait - 1)
        return self._on


def gated(scores: Array, runs: Sequence[tuple[int, int]], gate: AlarmGate) -> Array:
    """(T,) bool, the gate run over the curve and reset at each of `runs`."""
    out = np.zeros(len(scores), bool)
    for start, stop in runs:
        gate.reset()
        out[start:stop] = [gate.update(score) for score in scores[start:stop].tolist()]
    return out


def budget_threshold(
    scores: Sequence[Array], fps: float, per_minute: float, *, stay: float = 1.0, cooldown: int = 0
) -> float:
    """The lowest threshold that keeps the budget on successes, of their scores (T,) at the policy's steps.

    Raises `DataRefused` where even no trigger on any of them would not show that, and says how many are missing.
    """
    minutes = float(np.mean([len(score) for score in scores])) / fps / 60 if scores else 0.0
    allowed = per_minute * minutes * (len(scores) + 1) - MOST
    if not scores or allowed < 0:
        enough = f"{math.ceil(MOST / (per_minute * minutes)) - 1 - len(scores)} more" if scores else "some"
        raise DataRefused(
            f"{len(scores)} unaided policy successes cannot show a budget of {per_minute:g} triggers a minute; "
            f"collect {enough}, or allow more"
        )
    levels = np.unique(np.quantile(np.concatenate(list(scores)), np.linspace(0, 1, LEVELS)))
    chosen = math.inf
    for level in levels[::-1].tolist():  # from above: the count is made monotone by stopping where it first exceeds
        gate = AlarmGate(level, stay, cooldown)
        counts = [_rises(gated(score, [(0, len(score))], gate)) for score in scores]
        if sum(min(count, MOST) for count in counts) > allowed:
            break
        chosen = level
    return chosen


def _rises(alarm: Array) -> int:
    return int(np.sum(alarm & ~np.concatenate([[False], alarm[:-1]])))
