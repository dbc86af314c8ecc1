"""How good a value model, a trigger and a run with a robot are; each metric with its interval.

Empty and one-sided inputs have a stated result: NaN where the question has no answer (AUROC of one class, rate of
nothing), never a number that reads like one. Definitions follow GVL (value-order correlation), HIL-SERL and LeRobot
(intervention rate), Wilson 1927 (interval of a share).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from episodes.errors import DataRefused, UsageError
from episodes.record import ActionSource
from models.curve import Curve, Flags, as_curve, as_source, true_runs

Z_95 = 1.959963984540054
"""two-sided 95 % quantile of the normal distribution"""


def value_order_correlation(values: npt.ArrayLike) -> float:
    """Spearman correlation of value and step index in [-1, 1]; ties share their mean rank, a constant curve gives 0.

    High for a failed episode too: compare successes with failures before believing it.
    """
    ranks = _ranks(as_curve(values))
    index = np.arange(len(ranks)) - (len(ranks) - 1) / 2
    ranks = ranks - ranks.mean()
    spread = math.sqrt(float(ranks @ ranks) * float(index @ index))
    return float(ranks @ index) / spread if spread else 0.0


def success_auroc(scores: npt.ArrayLike, success: npt.ArrayLike) -> float:
    """Chance that a success scores above a failure, ties counting half; NaN where one of the two is missing.

    `scores` (n,) one number for each episode, `success` (n,) bool. DataRefused on unknown outcomes or NaN scores.
    """
    score, positive = _paired(scores, success)
    count = int(positive.sum())
    pairs = count * (len(positive) - count)
    if not pairs:
        return math.nan
    return float((_ranks(score)[positive].sum() - count * (count - 1) / 2) / pairs)


def intervention_rate(source: npt.ArrayLike) -> float:
    """Human steps / all steps of known source, of `ActionSource` codes (T,); NaN where none is known.

    Pass the steps of one run together; leave demonstrations out, they are no interventions.
    """
    codes = as_source(source)
    known = codes != ActionSource.UNKNOWN
    return float((codes[known] == ActionSource.HUMAN).mean()) if known.any() else math.nan


def interventions_per_episode(source: npt.ArrayLike, fps_hz: float, merge_gap_s: float = 0.5) -> int:
    """How often the human stepped in during one episode, source (T,).

    An intervention is a HUMAN segment with a POLICY or RECOVERY step somewhere before it. Segments with less than
    `merge_gap_s` between them are one: a moment of stillness of the hand is no hand-back. 0 gives the raw count.
    """
    if not fps_hz > 0:
        raise UsageError(f"the episode's rate is {fps_hz} Hz; pass its steps per second")
    codes = as_source(source)
    robot = np.flatnonzero(np.isin(codes, (ActionSource.POLICY, ActionSource.RECOVERY)))
    first_robot = int(robot[0]) if robot.size else len(codes)
    starts, previous_stop = [], -math.inf
    for start, stop in true_runs(codes == ActionSource.HUMAN):
        if (start - previous_stop) / fps_hz >= merge_gap_s:
            starts.append(start)
        previous_stop = stop
    return sum(start > first_robot for start in starts)


def wilson_interval(k: int, n: int, z: float = Z_95) -> tuple[float, float]:
    """Interval of a share k/n, 95 % by default; (0, 1) for n = 0. DataRefused unless 0 <= k <= n."""
    if not 0 <= k <= n:
        raise DataRefused(f"{k} of {n} is no share; count the successes among the episodes")
    if not n:
        return 0.0, 1.0
    middle = (k + z * z / 2) / (n + z * z)
    half = z / (n + z * z) * math.sqrt(k * (n - k) / n + z * z / 4)
    return (0.0 if k == 0 else middle - half), (1.0 if k == n else middle + half)


@dataclass(frozen=True, slots=True)
class TriggerScores:
    """Triggers matched with stall onsets, each at most once."""

    tp: int
    fp: int
    fn: int
    precision: float
    """NaN without triggers"""
    recall: float
    """NaN without onsets"""
    f1: float
    """NaN without either"""
    lead_steps: tuple[int, ...]
    """for each match in time order, onset minus trigger: positive where the trigger came first"""


def trigger_event_scores(trigger: npt.ArrayLike, onsets: Sequence[int], before: int, after: int) -> TriggerScores:
    """Event scores of a trigger (T,) bool against stall onsets (steps): a run of True is one trigger, at its start.

    A trigger counts within [onset - before, onset + after]. Among windows of one width, giving each trigger in turn
    the earliest free onset that it reaches matches as many as can be.
    """
    flags = np.asarray(trigger, dtype=bool)
    if any(not 0 <= onset < len(flags) for onset in onsets):
        raise DataRefused(f"an onset lies outside the episode's {len(flags)} steps; pass both of the same episode")
    starts = [start for start, _ in true_runs(flags)]
    free, lead = sorted(onsets), []
    for start in starts:
        reached = next((onset for onset in free if onset - before <= start <= onset + after), None)
        if reached is not None:
            free.remove(reached)
            lead.append(int(reached) - start)
    tp, fp, fn = len(lead), len(starts) - len(lead), len(free)
    return TriggerScores(
        tp, fp, fn, _share(tp, tp + fp), _share(tp, tp + fn), _share(2 * tp, 2 * tp + fp + fn), tuple(lead)
    )


def bootstrap_interval(
    values: npt.ArrayLike,
    statistic: Callable[[Curve], float] = lambda sample: float(sample.mean()),
    n: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> tuple[float, float]:
    """Percentile interval of a statistic of `values` (m,) over `n` resamples; (NaN, NaN) for m = 0."""
    sample = np.asarray(values, dtype=np.float64)
    if not sample.size:
        return math.nan, math.nan
    sample = as_curve(sample)
    rng = np.random.default_rng(seed)
    return _middle([statistic(rng.choice(sample, len(sample))) for _ in range(n)], level)


def auroc_interval(
    scores: npt.ArrayLike, success: npt.ArrayLike, n: int = 1000, seed: int = 0, level: float = 0.95
) -> tuple[float, float]:
    """Percentile interval of `success_auroc`, resampling successes and failures apart; (NaN, NaN) for one class."""
    score, positive = _paired(scores, success)
    good, bad = score[positive], score[~positive]
    if not (good.size and bad.size):
        return math.nan, math.nan
    rng = np.random.default_rng(seed)
    outcome = np.repeat([True, False], [len(good), len(bad)])
    resampled = (np.concatenate([rng.choice(good, len(good)), rng.choice(bad, len(bad))]) for _ in range(n))
    return _middle([success_auroc(sample, outcome) for sample in resampled], level)


def _ranks(values: Curve) -> Curve:
    """(n,) ranks from 0, ties at their mean."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    ranks: Curve = (ends - (counts + 1) / 2)[inverse]
    return ranks


def _paired(scores: npt.ArrayLike, outcomes: npt.ArrayLike) -> tuple[Curve, Flags]:
    score, outcome = np.asarray(scores, dtype=np.float64), np.asarray(outcomes)
    if score.ndim != 1 or score.shape != outcome.shape:
        raise DataRefused(
            f"scores {score.shape} and outcomes {outcome.shape} differ; pass one of each for each episode"
        )
    if np.isnan(score).any() or not np.isin(outcome, (True, False)).all():
        raise DataRefused("a score is NaN or an outcome is unknown; leave such episodes out and say how many")
    return score, outcome.astype(bool)


def _share(part: int, whole: int) -> float:
    return part / whole if whole else math.nan


def _middle(statistics: Sequence[float], level: float) -> tuple[float, float]:
    low, high = np.quantile(statistics, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
