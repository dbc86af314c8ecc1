"""Curves beside the episodes: the columns that app and stages read."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
from model_samples import HUMAN, episodes, fitted

from assets.inputs import TRIGGER_SCHEMA, VALUE_SCHEMA
from models.progress import progress_targets
from models.risk import value_risk
from models.sidecars import trigger_frame, value_frame


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
    np.testing.assert_array_equal(frame["progress"], progress_targets(len(episode), True))


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
    assert frame.columns == [*fixed, "score", "early_trigger"]
    assert list(frame.schema.items()) == list(TRIGGER_SCHEMA.items())  # what a session without a usable episode has
    np.testing.assert_array_equal(frame["score"], scores)
    np.testing.assert_array_equal(frame["trigger_logit"], curves.trigger_logit)
    assert frame["trigger"].any()
    assert not frame["trigger"].all()
    fired = frame.select(pl.col("trigger") == (pl.col("score") > pl.col("threshold"))).to_series()
    assert fired.all()
