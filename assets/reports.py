"""How good the models are on what they did not see."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import polars as pl

from assets import inputs
from assets.graph import stage
from assets.making import Made, Work
from episodes.record import Array

if TYPE_CHECKING:
    from models.dataset import StepData
    from models.value import ValueCurves


@stage("reports/offline")
def offline(work: Work) -> Made:
    """Value and trigger on the held-out splits validation and test, and out of fold on what the models learned from.

    Where the episodes come from the simulator the trigger is held against the simulator's own knowledge of stalls.
    """
    judged = [pair for session in work.sessions for pair in inputs.judged(work, session) if pair[0].success is not None]
    triggers = {name: _triggers(work, name) for name in ("trigger", "early_trigger")}
    held_out = [pair for pair in judged if pair[0].split in ("validation", "test")]
    learned = [pair for pair in judged if pair[0].split in ("train", "calibration")]
    report = {"held_out": _judge(work, held_out, triggers), "out_of_fold": _judge(work, learned, triggers)}
    (work.out / "report.json").write_text(json.dumps(report, indent=1, allow_nan=False))
    return Made(metadata=_flat(report))


def _flat(report: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> dict[str, Any]:
    """Each figure and its n by one name, so that the UI draws them over time."""
    return {
        f"{split}, {part}: {name}{suffix}": figure[key]
        for split, parts in report.items()
        for part, figures in parts.items()
        for name, figure in figures.items()
        for key, suffix in (("value", ""), ("n", ", n"))
    }


def _judge(
    work: Work, judged: Sequence[tuple[StepData, ValueCurves]], triggers: Mapping[str, Mapping[str, Array]]
) -> dict[str, Any]:
    """Value and both alarms on some episodes, each judged by nets that did not train on it."""
    from models.evaluation import figures_json, privileged_stalls, trigger_report, value_report
    from models.labelling import trained_labels
    from robot_io.collect import read_privileged

    episodes = [episode for episode, _ in judged]
    value = value_report(
        episodes,
        {episode.episode_id: curves.value for episode, curves in judged},
        {episode.episode_id: curves.success_score for episode, curves in judged},
        median_duration_s=inputs.value_model(work).median_duration_s,
    )
    stalls = privileged_stalls(read_privileged(work.workspace))
    audited = pl.read_parquet(work.upstream("labels/audited") / "labels.parquet")
    labels = trained_labels(audited, {episode.episode_id: len(episode) for episode in episodes})
    alarms = {name: trigger_report(episodes, alarm, stalls, labels) for name, alarm in triggers.items()}
    return {"value": figures_json(value), **{name: figures_json(alarm) for name, alarm in alarms.items()}}


def _triggers(work: Work, name: str) -> dict[str, Array]:
    """episode_id -> (T,) bool of one alarm of the trigger curves."""
    frames = pl.concat([inputs.curves(work, "triggers/curves", session) for session in work.sessions])
    return inputs.by_episode(frames, name)
