"""The figures of the table, against counting by hand; what has no answer is None."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from model_samples import HOLD, HUMAN, POLICY, RECOVERY, step_data

from episodes.record import ActionSource, Array
from models.dataset import StepData
from models.evaluation import (
    Measured,
    arm_report,
    figures_json,
    final_score,
    privileged_stalls,
    trigger_report,
    value_report,
)
from models.metrics import intervention_rate


def flags(length: int, *ranges: tuple[int, int]) -> Array:
    out = np.zeros(length, bool)
    for start, stop in ranges:
        out[start:stop] = True
    return out


def run(seed: int, steps: int, *, success: bool | None, **changes: Any) -> StepData:
    return step_data(seed, success=success, source=np.zeros(steps, np.uint8), time_s=np.arange(steps) / 10, **changes)


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=12))
@settings(max_examples=25)
def test_the_interval_of_a_mean_contains_it(values: list[float]) -> None:
    m = Measured.mean(values)
    assert m.value == pytest.approx(np.mean(values))
    assert m.lo - 1e-9 <= m.value <= m.hi + 1e-9
    assert m.n == len(values)


@given(st.lists(st.booleans(), min_size=1, max_size=30))
def test_the_interval_of_a_share_contains_it(values: list[bool]) -> None:
    m = Measured.share(values)
    assert m.value == sum(values) / len(values)
    assert 0 <= m.lo <= m.value <= m.hi <= 1


def test_what_is_undefined_is_null_in_a_report() -> None:
    assert Measured.mean([]).json() == {"value": None, "lo": None, "hi": None, "n": 0}
    assert Measured.share([]).json() == {"value": None, "lo": 0.0, "hi": 1.0, "n": 0}
    nothing = [value_report([], {}, {}, median_duration_s=1.0), trigger_report([], {}, {}, {}), arm_report([], [])]
    for report in nothing:
        told = figures_json(report)
        assert all(figure["value"] is None for figure in told.values())
        json.dumps(told, allow_nan=False)


def test_the_final_score_is_the_mean_of_the_last_fifth() -> None:
    assert final_score(np.arange(10.0)) == 8.5
    assert final_score(np.arange(2.0)) == 1.0
    assert final_score(np.array([0.3])) == 0.3


def test_value_figures_are_those_of_unaided_episodes_with_an_outcome() -> None:
    good, slow, bad = run(0, 10, success=True), run(1, 40, success=True), run(2, 20, success=False)
    helped = step_data(3, collection="takeover")
    unknown = run(4, 10, success=None)
    data = [good, slow, bad, helped, unknown]
    v = {e.episode_id: np.linspace(0.1, 0.9, len(e)) for e in data}
    v[slow.episode_id] = v[slow.episode_id][::-1].copy()
    w = {e.episode_id: np.full(len(e), 0.2 if e is bad else 0.7) for e in data}
    report = value_report(data, v, w, median_duration_s=1.0)
    assert (report.voc_nominal.value, report.voc_nominal.n) == (pytest.approx(1.0), 1)  # 4 s is not nominal
    assert (report.voc_all.value, report.voc_all.n) == (pytest.approx(0.0), 2)
    assert (report.success_auroc.value, report.success_auroc.n) == (1.0, 3)
    assert report.length_auroc.value == 0.5  # 1 s and 4 s against 2 s
    assert report.value_at_end.value == pytest.approx((0.9 + 0.1) / 2)
    assert report.value_at_start.value == pytest.approx((0.1 + 0.9 + 0.1) / 3)


def test_one_outcome_has_no_auroc() -> None:
    good = run(0, 10, success=True)
    curves = {good.episode_id: np.linspace(0, 1, 10)}
    report = value_report([good], curves, curves, median_duration_s=1.0)
    assert figures_json(report)["success_auroc"] == {"value": None, "lo": None, "hi": None, "n": 1}


FAILED, FAILED_LATE, FINE, ALARMED = (run(n, 40, success=n > 1) for n in range(4))
TRIGGERS = {
    FAILED.episode_id: flags(40, (25, 35)),
    FAILED_LATE.episode_id: flags(40, (2, 4)),  # before the last stall only
    FINE.episode_id: flags(40),
    ALARMED.episode_id: flags(40, (10, 12)),
}
STALLED = {
    FAILED.episode_id: flags(40, (5, 8), (28, 40)),  # the last stall's onset is 10 steps before it shows: 18
    FAILED_LATE.episode_id: flags(40, (30, 40)),
    FINE.episode_id: flags(40),
    ALARMED.episode_id: flags(40, (11, 15)),
}
LABELS = {name: np.zeros(40) for name in TRIGGERS}


def test_trigger_figures_by_hand() -> None:
    aided = step_data(9, collection="takeover")
    unknown = run(10, 40, success=None)
    extra = {e.episode_id: flags(len(e), (0, 9)) for e in (aided, unknown)}
    data = [FAILED, FAILED_LATE, FINE, ALARMED, aided, unknown]
    report = trigger_report(data, TRIGGERS | extra, STALLED | extra, LABELS)
    assert (report.precision.value, report.precision.n) == (pytest.approx((7 + 0 + 1) / 14), 14)
    assert (report.recall.value, report.recall.n) == (pytest.approx((7 + 0 + 1) / (15 + 10 + 4)), 29)
    assert (report.failures_flagged.value, report.failures_flagged.n) == (1.0, 2)
    assert (report.successes_alarmed.value, report.successes_alarmed.n) == (0.5, 2)
    assert (report.balanced_accuracy.value, report.balanced_accuracy.n) == (0.75, 4)
    assert (report.delay_s.value, report.delay_s.n) == (pytest.approx(0.7), 1)
    for m in (report.precision, report.recall, report.balanced_accuracy, report.delay_s):
        assert m.lo <= m.value <= m.hi


@pytest.mark.parametrize(
    ("label", "outside"), [((11, 12, 1.0), 1.0), ((10, 12, 1.0), 0.0), ((10, 12, np.nan), 0.0), ((12, 30, 1.0), 1.0)]
)
def test_only_an_alarm_where_the_labels_say_no_stall_counts_as_outside(
    label: tuple[int, int, float], outside: float
) -> None:
    start, stop, mark = label
    labels = {ALARMED.episode_id: np.zeros(40), FAILED.episode_id: np.zeros(40)}
    labels[ALARMED.episode_id][start:stop] = mark
    report = trigger_report([ALARMED, FAILED], TRIGGERS, STALLED, labels)
    assert (report.successes_alarmed.value, report.successes_alarmed.n) == (1.0, 1)
    found = report.successes_alarmed_outside_labels
    assert (found.value, found.n) == (outside, 1)


def test_an_alarm_that_is_on_when_the_stall_begins_has_no_delay() -> None:
    report = trigger_report([FAILED], {FAILED.episode_id: flags(40, (10, 40))}, STALLED, LABELS)
    assert report.delay_s.value == 0.0
    assert math.isnan(report.successes_alarmed.value)
    assert math.isnan(report.balanced_accuracy.value)
    early = {FAILED.episode_id: flags(40, (3, 40))}  # known at step 3: the onset cannot lie before the start
    assert trigger_report([FAILED], early, early, LABELS).delay_s.value == pytest.approx(0.3)


def test_episodes_without_curves_or_notes_are_left_out() -> None:
    only = {FAILED.episode_id: STALLED[FAILED.episode_id]}
    assert trigger_report([FAILED, FINE], TRIGGERS, only, LABELS).balanced_accuracy.n == 1
    assert trigger_report([FAILED, FINE], {}, STALLED, LABELS).precision.n == 0


def test_a_trigger_that_never_fires_has_no_precision_and_no_recall_error() -> None:
    silent = {name: flags(40) for name in TRIGGERS}
    report = trigger_report([FAILED, FINE], silent, STALLED, LABELS)
    assert math.isnan(report.precision.value)
    assert report.recall.value == 0.0
    assert report.failures_flagged.value == 0.0
    assert math.isnan(report.delay_s.value)


def test_the_simulators_notes_by_episode() -> None:
    notes = pl.DataFrame(
        {"episode_id": ["b", "a", "b"], "frame_index": [1, 0, 0], "stalled": [True, True, False], "phi": [0.0] * 3}
    )
    found = privileged_stalls(notes)
    assert {name: rows.tolist() for name, rows in found.items()} == {"a": [True], "b": [False, True]}
    assert privileged_stalls(pl.DataFrame()) == {}


def test_arm_figures_by_hand() -> None:
    sources = [
        np.array([POLICY] * 6 + [HUMAN] * 4, np.uint8),
        np.array([POLICY] * 14 + [RECOVERY] * 5 + [HOLD], np.uint8),
    ]
    report = arm_report(sources, [True, False])
    assert (report.success_rate.value, report.success_rate.n) == (0.5, 2)
    assert (report.intervention_rate.value, report.intervention_rate.n) == (pytest.approx(4 / 30), 30)
    assert report.recovery_rate.value == pytest.approx(5 / 30)
    assert (report.human_steps.value, report.human_steps.n) == (2.0, 2)
    assert report.intervention_rate.lo == 0.0
    assert report.intervention_rate.hi == pytest.approx(0.4)
    json.dumps(figures_json(report), allow_nan=False)


def test_steps_of_unknown_source_are_in_no_rate_of_an_arm() -> None:
    known = np.array([POLICY] * 6 + [HUMAN] * 3 + [RECOVERY], np.uint8)
    unknown = np.full(10, ActionSource.UNKNOWN, np.uint8)
    report = arm_report([np.concatenate([known, unknown]), unknown], [True, True])
    assert (report.intervention_rate.value, report.intervention_rate.n) == (pytest.approx(0.3), 10)
    assert report.intervention_rate.value == intervention_rate(known)
    assert (report.recovery_rate.value, report.recovery_rate.n) == (pytest.approx(0.1), 10)
    assert report.intervention_rate.lo == pytest.approx(report.intervention_rate.hi)
    assert math.isnan(arm_report([unknown], [True]).intervention_rate.value)
