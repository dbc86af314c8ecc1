"""The offline report's figures, on curves whose answers are known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from model_samples import HUMAN, RECOVERY, episodes, fitted, stagnation, step_data

from assets.report_page import page
from models.calibration import Calibration
from models.evaluation import Measured
from models.report_intervention import intervention_rows
from models.report_resampling import recalibrated_rows, resampling_rows
from models.report_rows import Row, resampled
from models.report_runs import recovery_rows, run_rows
from models.report_trigger import alarmed, timing_rows, trigger_rows
from models.report_value import value_rows
from models.trigger import TriggerConfig


def by_name(rows: list[Row]) -> dict[str, Measured]:
    assert len({row.name for row in rows}) == len(rows)
    return {row.name.partition(",")[0]: row.figure for row in rows}


def test_a_statistic_of_nothing_is_undefined_and_one_of_equal_episodes_has_no_width() -> None:
    assert math.isnan(resampled([], lambda s: 1.0).value)
    figure = resampled([2.0, 2.0], lambda s: float(np.mean(s)))
    assert (figure.value, figure.lo, figure.hi, figure.n) == (2.0, 2.0, 2.0, 2)


def test_the_value_of_samples_rises_and_its_band_covers_what_it_was_made_for() -> None:
    f = fitted()
    rows = by_name(value_rows([(e, f.curves[e.episode_id]) for e in episodes()], "all", f.value.median_duration_s))
    assert rows["VOC of V on successes"].value > 0.5
    assert rows["AUROC of the duration alone"].n == len([e for e in episodes() if e.unaided and e.success is not None])
    assert 0.5 < rows["share of steps of successes inside value_lo..value_hi"].value <= 1


def test_an_alarm_that_is_the_label_is_right_at_every_step_and_onset() -> None:
    data = [e for e in episodes() if e.collection == "takeover" or e.success is False]
    labels = {e.episode_id: stagnation(e) for e in data}
    judged = alarmed(data, {name: label == 1 for name, label in labels.items()}, labels)
    rows = by_name(trigger_rows(judged, "alarm", "all", truth="mined labels"))
    assert {figure.value for figure in rows.values()} == {1.0}
    never = alarmed(data, {name: label > 1 for name, label in labels.items()}, labels)
    rows = by_name(trigger_rows(never, "alarm", "all", truth="mined labels"))
    assert rows["alarm: recall of steps against mined labels"].value == 0.0
    assert math.isnan(rows["alarm: precision of steps against mined labels"].value)


def test_the_lead_is_counted_to_the_takeover_and_a_missed_one_is_told() -> None:
    taken = step_data(24, collection="takeover")
    takeover = int(np.flatnonzero(taken.source == HUMAN)[0])
    alarm = np.arange(len(taken)) >= takeover - 5
    labels = {taken.episode_id: stagnation(taken)}
    rows = timing_rows(alarmed([taken], {taken.episode_id: alarm}, labels), "alarm", "one")
    assert rows[0].figure.value == pytest.approx(0.5)
    assert rows[1].figure.value == 0.0
    silent = timing_rows(alarmed([taken], {taken.episode_id: alarm & False}, labels), "alarm", "one")
    assert (silent[0].figure.n, silent[1].figure.value) == (0, 1.0)


@pytest.mark.parametrize(("count", "rows"), [(60, 2), (9, 0)], ids=["enough", "too few"])
def test_a_promise_is_asked_on_successes_that_did_not_calibrate(count: int, rows: int) -> None:
    rng = np.random.default_rng(0)
    runs = [
        Calibration(
            cusum=rng.gamma(2, 1, 20), probability=rng.beta(1, 4, 20), own=np.ones(20, bool), label=np.zeros(20)
        )
        for _ in range(count)
    ]
    found = resampling_rows(runs, [(np.full(5, 20.0), np.ones(5))], TriggerConfig())
    assert len(found) == rows
    if rows:
        rate, balanced = (row.figure.value for row in found)
        assert 0.02 < rate < 0.15
        assert balanced == pytest.approx(1 - rate / 2)


def test_a_policy_version_is_calibrated_on_its_first_episodes_and_asked_on_its_later_ones() -> None:
    def run(peak: float) -> Calibration:
        return Calibration(
            cusum=np.array([0.0, peak]), probability=np.zeros(2), own=np.ones(2, bool), label=np.zeros(2)
        )

    first = [(run(1.0 + n), True) for n in range(12)] + [(run(90.0), False)] * 8
    later = [(run(peak), success) for peak, success in ((5.0, True), (11.5, True), (40.0, True), (50.0, False))]
    config = TriggerConfig(form="cusum")
    good, bad = recalibrated_rows([*first, *later], "bc-2", config, seen=False)
    assert (good.figure.value, good.figure.n, bad.figure.value, bad.figure.n) == (pytest.approx(1 / 3), 3, 1.0, 1)
    assert "12 successes of its first 20" in good.of
    assert "not seen" in good.of
    assert recalibrated_rows(first[4:] + later, "bc-2", config, seen=True) == []


def test_shares_of_the_steps_sum_to_one() -> None:
    source = np.zeros(30, np.uint8)
    source[10:16], source[16:25] = RECOVERY, HUMAN
    one = step_data(6, source=source)
    rows = by_name(run_rows([one], "one"))
    shares = [figure.value for name, figure in rows.items() if "share" in name or "rate:" in name]
    assert sum(shares) == pytest.approx(1.0)
    assert rows["human time per success"].value == pytest.approx(0.9)


@pytest.mark.parametrize(("human_from", "regained"), [(30, 1.0), (12, 0.0)], ids=["alone", "a person came first"])
def test_a_recovery_counts_where_v_is_regained_before_a_person_comes(human_from: int, regained: float) -> None:
    source = np.zeros(30, np.uint8)
    source[10:18], source[human_from:] = RECOVERY, HUMAN
    one = step_data(6, source=source)
    values = np.where(np.arange(30) < 14, 0.4, 0.6)
    (rate, seconds) = recovery_rows([one], {one.episode_id: values}, "one")
    assert (rate.figure.value, rate.figure.n) == (regained, 1)
    assert seconds.figure.value == pytest.approx(0.4) or not regained


def test_heads_that_foretell_nothing_score_nothing() -> None:
    f, one = fitted(), episodes()[5]
    curves = f.curves[one.episode_id]
    predicted = f.intervention.curves(f.value, one, curves)
    rows = by_name(intervention_rows([(one, curves, predicted)], "one"))
    assert rows["Q-loss: smooth L1 of min Q to V of the next step"].value > 0
    assert rows["change of the latent that is foretold"].value < 1


def test_the_page_tells_undefined_from_zero_and_escapes_what_it_shows() -> None:
    nothing = Measured(value=math.nan, lo=math.nan, hi=math.nan, n=0)
    one = Row(section="S", name="x", of="all", figure=Measured.share([True]))
    rows = [Row(section="S", name="<b>", of="all", figure=nothing), one]
    text = page("t", ["told"], [], rows, {"V": b"png"})
    assert "&lt;b&gt;" in text
    assert "<td class=n>–" in text
    assert "<td class=n>1" in text
