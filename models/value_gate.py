"""The value gate: what V and W must show on episodes they did not see before anything is mined from them.

Each line is one figure with a 95 % bootstrap interval and, where it gates, what is asked for. All of them are read off
out-of-fold curves of every episode that was trained on: thirteen held-out successes let a bad model pass. AUROC alone
lets bad models pass too, since a value that learned which policy acted separates outcomes well; VOC by source is the
line that catches it. Thresholds were measured on two simulated tasks, between values learned from successes alone and
those with the published losses.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from episodes.record import ActionSource, Array
from models.dataset import StepData
from models.evaluation import NOMINAL, Measured, auroc_of, final_score
from models.metrics import bootstrap_interval, value_order_correlation

OF_SOURCE, OF_OUTCOME, OF_STALLS = 3, 5, 3
"""successes of a source, outcomes of each kind within a policy, stalls: fewer are not judged"""
BEFORE_TAKEOVER_S, END_OF_FAILURE_S = 1.5, 4.0
"""where the robot was stuck whoever looks at it"""
EARLY_S = (1.0, 2.0, 3.0)
REFERENCE_MARGIN = 0.03
TRAIN = "train longer, or with another camera"
CORRECT = "look at the curves on the app's page Value curves; correct outcomes or exclude episodes"
BALANCE = "collect successes of that source, or keep the objective that learns from successes alone"


@dataclass(frozen=True, slots=True, kw_only=True)
class GateLine:
    """One figure, and what it must be."""

    name: str
    figure: Measured
    least: float | None = None
    most: float | None = None
    remedy: str = ""
    """what to do where it does not hold"""

    @property
    def holds(self) -> bool:
        """False only where a figure that gates is defined and out of range: what cannot be judged blocks nothing."""
        low = self.least is not None and self.figure.value < self.least
        high = self.most is not None and self.figure.value > self.most
        return not (low or high)

    @property
    def asked(self) -> str:
        """`at least 0.88`; empty for a line that is only shown."""
        if self.least is not None:
            return f"at least {self.least:.2g}"
        return "" if self.most is None else f"at most {self.most:.2g}"


def value_gate(
    episodes: Sequence[StepData],
    values: Mapping[str, Array],
    scores: Mapping[str, Array],
    *,
    median_duration_s: float,
    reference: Mapping[str, Array] | None = None,
) -> tuple[GateLine, ...]:
    """The lines, those that gate first.

    `values`, `scores`, `reference`: episode_id -> (T,) V, W, and V of a model that sees no picture, all by nets that
    did not train on the episode.
    """
    judged = [e for e in episodes if e.success is not None and e.episode_id in values]
    alone = [e for e in judged if e.unaided]
    successes = [e for e in alone if e.success]
    order = {e.episode_id: value_order_correlation(values[e.episode_id]) for e in successes}
    return (
        *_order_lines(successes, order, median_duration_s),
        *_reference_line(successes, order, reference),
        *_level_lines(successes, alone, values),
        _flatness(judged, values, median_duration_s),
        *_outcome_lines(alone, values, scores, reference),
    )


def source_of(episode: StepData) -> str:
    """Who drove an episode nobody helped: demo, a policy version, or what it was collected as."""
    return episode.policy_id or episode.collection


def _order_lines(successes: Sequence[StepData], order: Mapping[str, float], median_duration_s: float) -> list[GateLine]:
    nominal = [order[e.episode_id] for e in successes if len(e) / e.fps <= NOMINAL * median_duration_s]
    every = list(order.values())
    sources = {source_of(e) for e in successes}
    by_source = {s: [order[e.episode_id] for e in successes if source_of(e) == s] for s in sorted(sources)}
    enough = {s: found for s, found in by_source.items() if len(found) >= OF_SOURCE}
    worst = min(enough, key=lambda s: float(np.mean(enough[s])), default="")
    return [
        GateLine(name="VOC of V, nominal successes", figure=Measured.mean(nominal), least=0.88, remedy=TRAIN),
        GateLine(name="VOC of V, unaided successes", figure=Measured.mean(every), least=0.82, remedy=CORRECT),
        GateLine(
            name=f"VOC of V, worst source{f' ({worst})' if worst else ''}",
            figure=Measured.mean(enough.get(worst, [])),
            least=0.70,
            remedy=BALANCE,
        ),
        GateLine(
            name="VOC of V, 10th percentile",
            figure=_statistic(every, lambda sample: float(np.quantile(sample, 0.1))),
            least=0.55,
            remedy=CORRECT,
        ),
    ]


def _reference_line(
    successes: Sequence[StepData], order: Mapping[str, float], reference: Mapping[str, Array] | None
) -> list[GateLine]:
    """A model that sees pictures is no worse than one that sees none."""
    if reference is None:
        return []
    gained = [order[e.episode_id] - value_order_correlation(reference[e.episode_id]) for e in successes]
    name = "VOC of V above that of a model without pictures"
    return [GateLine(name=name, figure=Measured.mean(gained), least=-REFERENCE_MARGIN, remedy=TRAIN)]


def _level_lines(
    successes: Sequence[StepData], alone: Sequence[StepData], values: Mapping[str, Array]
) -> list[GateLine]:
    ends = [float(values[e.episode_id][-1]) for e in successes]
    starts = [float(values[e.episode_id][0]) for e in alone]
    above = [float(np.mean(values[e.episode_id] > 1)) for e in alone]
    return [
        GateLine(
            name="V at the end of successes, median",
            figure=_statistic(ends, lambda sample: float(np.median(sample))),
            least=0.85,
            remedy=TRAIN,
        ),
        GateLine(name="V at the start", figure=Measured.mean(starts), most=0.25, remedy=TRAIN),
        GateLine(
            name="share of steps with V above 1",
            figure=Measured.mean(above),
            most=0.0,
            remedy="set value.squash to true",
        ),
    ]


def _flatness(episodes: Sequence[StepData], values: Mapping[str, Array], median_duration_s: float) -> GateLine:
    """|slope| of V where the robot was stuck, in units of the nominal slope 1 / T_med."""
    slopes = [
        abs(_slope(values[e.episode_id][start:stop], e.fps)) * median_duration_s
        for e in episodes
        for start, stop in _stuck(e)
    ]
    figure = Measured.mean(slopes if len(slopes) >= OF_STALLS else [])
    return GateLine(name="slope of V in stalls, of nominal", figure=figure, most=0.40, remedy=CORRECT)


def _stuck(episode: StepData) -> list[tuple[int, int]]:
    """The policy's last moments before each takeover, and the end of a failure."""
    out, runs = [], episode.runs
    for index, (start, stop) in enumerate(runs):
        taken = index + 1 < len(runs) and episode.source[stop] == ActionSource.HUMAN
        failed = stop == len(episode) and episode.success is False
        if episode.source[start] == ActionSource.POLICY and (taken or failed):
            window_s = BEFORE_TAKEOVER_S if taken else END_OF_FAILURE_S
            out.append((max(start, stop - round(window_s * episode.fps)), stop))
    return [(start, stop) for start, stop in out if stop - start >= 2]


def _slope(values: Array, fps: float) -> float:
    """Fitted change per second."""
    return float(np.polyfit(np.arange(len(values)) / fps, values, 1)[0])


def _outcome_lines(
    alone: Sequence[StepData],
    values: Mapping[str, Array],
    scores: Mapping[str, Array],
    reference: Mapping[str, Array] | None,
) -> list[GateLine]:
    outcome = [bool(e.success) for e in alone]
    final = {e.episode_id: final_score(scores[e.episode_id]) for e in alone}
    worst = min(_within(alone, final), key=lambda found: found[1].value, default=("", _none()))
    name = f"AUROC of W within one policy{f' ({worst[0]})' if worst[0] else ''}"
    lines = [
        GateLine(name="AUROC of W", figure=auroc_of(list(final.values()), outcome), least=0.90, remedy=CORRECT),
        GateLine(name=name, figure=worst[1], least=0.80, remedy=BALANCE),
    ]
    controls = {"AUROC of the duration alone": [-len(e) / e.fps for e in alone]}
    if reference is not None:
        controls["AUROC of V without pictures"] = [final_score(reference[e.episode_id]) for e in alone]
    lines += [GateLine(name=name, figure=auroc_of(found, outcome)) for name, found in controls.items()]
    for second in EARLY_S:
        running = [e for e in alone if len(e) > round(second * e.fps)]
        early = [float(values[e.episode_id][round(second * e.fps)]) for e in running]
        figure = auroc_of(early, [bool(e.success) for e in running])
        lines.append(GateLine(name=f"AUROC of V after {second:g} s", figure=figure))
    return lines


def _within(alone: Sequence[StepData], final: Mapping[str, float]) -> list[tuple[str, Measured]]:
    """AUROC of W among the episodes of each policy version with enough of both outcomes."""
    found = []
    for policy in sorted({e.policy_id for e in alone if e.policy_id}):
        own = [e for e in alone if e.policy_id == policy]
        outcome = [bool(e.success) for e in own]
        if min(sum(outcome), len(outcome) - sum(outcome)) >= OF_OUTCOME:
            found.append((policy, auroc_of([final[e.episode_id] for e in own], outcome)))
    return found


def _statistic(values: Sequence[float], statistic: Callable[[Array], float]) -> Measured:
    if not len(values):
        return _none()
    lo, hi = bootstrap_interval(values, statistic)
    return Measured(value=statistic(np.asarray(values)), lo=lo, hi=hi, n=len(values))


def _none() -> Measured:
    return Measured(value=math.nan, lo=math.nan, hi=math.nan, n=0)
