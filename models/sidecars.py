"""Curves beside the episodes: one Parquet row a step, `episode_id` first, never inside the recording."""

from __future__ import annotations

import numpy as np
import polars as pl

from models.dataset import StepData
from models.intervention import InterventionCurves
from models.risk import value_risk
from models.trigger import Trigger
from models.trigger_forms import gated
from models.value import ValueCurves
from models.value_objectives import progress_labels


def value_frame(episode: StepData, curves: ValueCurves) -> pl.DataFrame:
    """Columns episode_id frame_index value value_lo value_hi success_score stall_probability risk progress.

    `progress` is the label as V is trained on it in successes; 0 in a failure, NaN where the outcome is unknown.
    """
    parts = [value_risk(curves.value[start:stop]) for start, stop in episode.runs]
    return pl.DataFrame(
        {
            "episode_id": [episode.episode_id] * len(episode),
            "frame_index": np.arange(len(episode)),
            "value": curves.value,
            "value_lo": curves.value_lo,
            "value_hi": curves.value_hi,
            "success_score": curves.success_score,
            "stall_probability": curves.stall_probability,
            "risk": np.concatenate(parts),
            "progress": progress_labels(episode).targets,
        }
    )


def trigger_frame(episode: StepData, values: ValueCurves, curves: InterventionCurves, trigger: Trigger) -> pl.DataFrame:
    """Columns episode_id frame_index trigger_logit trigger threshold, then score early_trigger cusum
    probability; the last two are what the score is made of."""
    cusum, probability = trigger.parts(episode, values, curves)
    score = trigger.score(cusum, probability)
    return pl.DataFrame(
        {
            "episode_id": [episode.episode_id] * len(episode),
            "frame_index": np.arange(len(episode)),
            "trigger_logit": curves.trigger_logit,
            "trigger": score > trigger.threshold,
            "threshold": np.full(len(episode), trigger.threshold),
            "score": score,
            "early_trigger": gated(np.asarray(score), episode.runs, trigger.gate(episode.fps)),
            "cusum": cusum,
            "probability": probability,
        }
    )
