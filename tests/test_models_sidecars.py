"""Curves beside the episodes: the columns that app and stages read."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
from model_samples import FPS, HOLD, HUMAN, POLICY, episodes, fitted, step_data

from assets.inputs import TRIGGER_SCHEMA, VALUE_SCHEMA
from models.calibration import Calibration, calibration_successes, thresholds
from models.progress import progress_targets
from models.risk import value_risk
from models.sidecars import trigger_frame, value_frame
from models.trigger import TriggerConfig, fit_trigger
from models.value import ValueCurves
from models.value_objectives import STALL_BEFORE_TAKEOVER_S


def test_value_columns_and_risk_that_starts_again_at_a_takeover() -> None:
    episode = episodes()[25]
    curves = fitted().curves[episode.episode_id]
    frame = value_frame(episode, curves)
    assert list(frame.schema.items()) == list(VALUE_SCHEMA.items())
    expected = ["episode_id", "frame_index", "value", "value_lo", "value_hi", "success_score", "stall_probability"]
    assert frame.columns == [*expected, "risk", "progress"]
    assert frame["episode_id"].unique().to_list() == [episode.episode_id]
    assert frame["frame_index"].to_list() == list(range(len(episode)))
    for name in expected[2:]:
        np.testing.assert_array_equal(frame[name], getattr(curves, name))
    stop = int(np.flatnonzero(episode.source == HUMAN)[0])
    parts = [value_risk(curves.value[:stop]), value_risk(curves.value[stop:])]
    np.testing.assert_array_equal(frame["risk"], np.concatenate(parts))


def test_the_progress_of_a_takeover_is_on_the_clock_of_the_robot_that_moves() -> None:
    steps, fps = 100, FPS
    source = np.full(steps, POLICY, np.uint8)
    source[50:70], source[70:75] = HUMAN, HOLD
    episode = step_data(0, collection="takeover", source=source, time_s=np.arange(steps) / fps)
    curves = flat_curves(steps)
    progress = value_frame(episode, curves)["progress"].to_numpy()
    stall = 50 - round(STALL_BEFORE_TAKEOVER_S * fps)
    counted = stall + 25  # the policy until it is stuck, and again from step 75
    np.testing.assert_allclose(progress[:stall], np.arange(stall) / (counted - 1))
    assert set(progress[stall:75]) == {progress[stall - 1]}
    np.testing.assert_allclose(progress[75:], np.arange(stall, counted) / (counted - 1))
    alone = step_data(1)
    plain = value_frame(alone, flat_curves(len(alone)))["progress"]
    np.testing.assert_array_equal(plain, progress_targets(len(alone), True))
    stuck = step_data(2, success=False)
    assert value_frame(stuck, flat_curves(len(stuck)))["progress"].unique().to_list() == [0.0]


def flat_curves(steps: int) -> ValueCurves:
    line = np.full(steps, 0.5)
    return ValueCurves(
        value=line,
        value_lo=line,
        value_hi=line,
        success_score=line,
        stall_probability=line,
        net_values=line[None],
        latents=np.zeros((1, steps, 1)),
        nets=(0,),
    )


def test_the_progress_of_an_unknown_outcome_is_unknown() -> None:
    episode = episodes()[-1]
    assert episode.success is None
    frame = value_frame(episode, fitted().curves[episode.episode_id])
    assert frame["progress"].is_nan().all()


def test_trigger_columns_fire_above_the_threshold() -> None:
    f, episode = fitted(), episodes()[20]
    values = f.curves[episode.episode_id]
    curves = f.intervention.curves(f.value, episode, values)
    scores = f.trigger.scores(episode, values, curves)
    middle = replace(f.trigger, threshold=float(np.median(scores)))
    frame = trigger_frame(episode, values, curves, middle)
    fixed = ["episode_id", "frame_index", "trigger_logit", "trigger", "threshold"]
    assert frame.columns == [*fixed, "score", "early_trigger", "cusum", "probability"]
    assert list(frame.schema.items()) == list(TRIGGER_SCHEMA.items())  # what a session without a usable episode has
    np.testing.assert_array_equal(frame["score"], scores)
    np.testing.assert_array_equal(frame["trigger_logit"], curves.trigger_logit)
    assert frame["trigger"].any()
    assert not frame["trigger"].all()
    fired = frame.select(pl.col("trigger") == (pl.col("score") > pl.col("threshold"))).to_series()
    assert fired.all()


def test_another_alpha_can_be_previewed_from_the_columns_alone() -> None:
    f = fitted()
    config = TriggerConfig(alpha=0.2, early_alpha=0.4)
    again = fit_trigger(episodes(), f.labels, f.value, f.intervention, config, curves=f.curves, intervention_hash="i")
    own = calibration_successes(episodes(), f.value.fold_of, learning=False, recent=40)
    runs = []
    for episode in own:
        values = f.curves[episode.episode_id]
        frame = trigger_frame(episode, values, f.intervention.curves(f.value, episode, values), f.trigger)
        cusum, probability = (frame[name].to_numpy() for name in ("cusum", "probability"))
        label = f.labels[episode.episode_id]
        runs.append(Calibration(cusum=cusum, probability=probability, own=np.ones(len(episode), bool), label=label))
    shown = thresholds(runs, alpha=0.2, early_alpha=0.4)
    assert (shown.alarm, shown.early, shown.alarm_rate) == (again.threshold, again.early_threshold, again.alarm_rate)
    assert again.threshold != f.trigger.threshold
