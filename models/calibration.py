"""The trigger's thresholds, from the curves of the successes on which it must stay silent.

Each of the two curves is first divided by what a share alpha of those successes exceed; the sum is the score, and the
same share of successes may pass its threshold. The early one asks only for the steps outside the labels. Pure: the
training and the app's preview of another alpha both ask here.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass

import numpy as np

from episodes.record import ActionSource, Array
from models.conformal import conformal_threshold
from models.dataset import StepData

LEAST = 1e-6
"""a curve that never leaves 0 on successes has some threshold all the same"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Curves of one success the trigger is calibrated on, (T,) each."""

    cusum: Array
    probability: Array
    own: Array
    """bool: not a recovery's step"""
    label: Array
    """1 stuck, 0 not, NaN unsure: the audited stagnation"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """What must be exceeded."""

    cusum: float
    probability: float
    alarm: float
    early: float
    """never above `alarm`"""
    alarm_rate: float
    """share of the calibration successes above `alarm`"""


def thresholds(runs: Sequence[Calibration], *, alpha: float, early_alpha: float) -> Thresholds:
    """Both thresholds at the shares of successes that may see a false alarm."""
    peaks = [(run.cusum[run.own].max(), run.probability[run.own].max()) for run in runs]
    first, second = (max(conformal_threshold(np.array(column), alpha), LEAST) for column in zip(*peaks, strict=True))
    scores = [run.cusum / first + run.probability / second for run in runs]
    totals = np.array([score[run.own].max() for run, score in zip(runs, scores, strict=True)])
    outside = np.array(
        [score.max(where=run.own & (run.label == 0), initial=0) for run, score in zip(runs, scores, strict=True)]
    )
    alarm = conformal_threshold(totals, alpha)
    return Thresholds(
        cusum=first,
        probability=second,
        alarm=alarm,
        early=min(alarm, conformal_threshold(outside, early_alpha)),
        alarm_rate=float(np.mean(totals > alarm)),
    )


def calibration_successes(
    episodes: Sequence[StepData], groups: Container[str], *, learning: bool, recent: int
) -> list[StepData]:
    """The successes that say how the score of a policy that needs no help may look.

    `groups`: the group ids that the value model was trained on, whose curves are out of fold. With `learning` the last
    `recent` successes that no person had to help, else every one that the policy drove alone.
    """
    clean = [e for e in episodes if e.success and _calibrates(e, learning) and e.group_id in groups]
    return clean[-recent:] if learning else clean


def _calibrates(episode: StepData, learning: bool) -> bool:
    if not learning:
        return episode.policy_alone
    return episode.unaided or ActionSource.HUMAN not in episode.source
