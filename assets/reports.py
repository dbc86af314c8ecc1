"""How good the models are on what they did not see."""

from __future__ import annotations

import json

import polars as pl

from assets import checks, inputs
from assets.graph import stage
from assets.making import Made, Work
from episodes.record import Array


@stage("reports/offline")
def offline(work: Work) -> Made:
    """Value and trigger on all episodes with a known outcome, each judged by nets that did not train on it.

    Where the episodes come from the simulator the trigger is held against the simulator's own knowledge of stalls.
    """
    from models.evaluation import privileged_stalls, trigger_report, value_report
    from robot_io.collect import read_privileged

    judged = [pair for session in work.sessions for pair in inputs.judged(work, session) if pair[0].success is not None]
    episodes = [episode for episode, _ in judged]
    value = value_report(
        episodes,
        {episode.episode_id: curves.value for episode, curves in judged},
        {episode.episode_id: curves.success_score for episode, curves in judged},
        median_duration_s=inputs.value_model(work).median_duration_s,
    )
    trigger = trigger_report(episodes, _triggers(work), privileged_stalls(read_privileged(work.workspace)))
    report = {"value": checks.figures(value), "trigger": checks.figures(trigger)}
    (work.out / "report.json").write_text(json.dumps(report, indent=1, allow_nan=False))
    flat = {f"{name}: {key}": value for name, part in report.items() for key, value in part.items()}
    return Made(metadata=flat)


def _triggers(work: Work) -> dict[str, Array]:
    """episode_id -> (T,) bool of the trigger curves."""
    frames = pl.concat([inputs.curves(work, "triggers/curves", session) for session in work.sessions])
    return inputs.by_episode(frames, "trigger")
