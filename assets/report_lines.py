"""Every line of the offline report, from what the stages of a task left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from assets import inputs
from assets.labels import marked_steps
from assets.making import Work
from assets.settings import resolve
from episodes.record import Array

if TYPE_CHECKING:
    from models.dataset import StepData
    from models.report_rows import Row
    from models.value import ValueCurves

Judged = Sequence[tuple["StepData", "ValueCurves"]]
ALARMS = {"trigger": "alarm", "early_trigger": "early alarm"}


def report_rows(work: Work, by_split: Mapping[str, Judged], alarms: Mapping[str, Mapping[str, Array]]) -> list[Row]:
    """All rows, section by section."""
    from models.report_value import value_rows

    pace_s = inputs.value_model(work).median_duration_s
    value = [row for of, pairs in by_split.items() for row in value_rows(pairs, of, pace_s)]
    heads = [row for of, pairs in by_split.items() for row in _intervention_rows(work, pairs, of)]
    trigger = [row for of, pairs in by_split.items() for row in _trigger_rows(work, pairs, alarms, of)]
    return [
        *value,
        *_label_rows(work),
        *heads,
        *trigger,
        *_promise_rows(work, by_split),
        *_run_rows(work),
        *_recovery_rows(work),
        *_latency_rows(work, by_split),
    ]


def _intervention_rows(work: Work, pairs: Judged, of: str) -> list[Row]:
    from models.intervention import InterventionModel
    from models.report_intervention import intervention_rows

    fitted, value = InterventionModel.load(work.upstream("models/intervention")), inputs.value_model(work)
    return intervention_rows([(e, c, fitted.curves(value, e, c)) for e, c in pairs], of)


def _trigger_rows(work: Work, pairs: Judged, alarms: Mapping[str, Mapping[str, Array]], of: str) -> list[Row]:
    from models.labelling import trained_labels
    from models.report_trigger import alarmed, timing_rows, trigger_rows

    episodes = [episode for episode, _ in pairs]
    lengths = {episode.episode_id: len(episode) for episode in episodes}
    audited = pl.read_parquet(work.upstream("labels/audited") / "labels.parquet")
    decided = audited.filter((pl.col("verdict") != "unaudited") | (pl.col("origin") == "human"))
    mined = trained_labels(audited, lengths)
    people = {name: mined[name] for name in decided["episode_id"].unique() if name in mined}
    rows = []
    for key, name in ALARMS.items():
        rows += trigger_rows(alarmed(episodes, alarms[key], mined), name, of, truth="mined labels")
        if people:
            rows += trigger_rows(alarmed(episodes, alarms[key], people), name, of, truth="labels that people decided")
        rows += timing_rows(alarmed(episodes, alarms[key], mined), name, of)
    return rows


def _promise_rows(work: Work, by_split: Mapping[str, Judged]) -> list[Row]:
    """Whether the alarm keeps its promise, over draws of the policy's own unaided successes."""
    from models.calibration import Calibration
    from models.labelling import trained_labels
    from models.report_resampling import recalibrated_rows, resampling_rows

    frames = pl.concat([inputs.curves(work, "triggers/curves", session) for session in work.sessions])
    cusum, probability = inputs.by_episode(frames, "cusum"), inputs.by_episode(frames, "probability")
    alone = [e for pairs in by_split.values() for e, _ in pairs if e.policy_alone]
    audited = pl.read_parquet(work.upstream("labels/audited") / "labels.parquet")
    labels = trained_labels(audited, {e.episode_id: len(e) for e in alone})
    runs = {
        name: Calibration(cusum=cusum[name], probability=probability[name], own=np.ones(len(label), bool), label=label)
        for name, label in labels.items()
    }
    config = resolve("trigger", work.snapshot.settings)
    successes = [runs[e.episode_id] for e in alone if e.success]
    failures = [(run.cusum, run.probability) for run in (runs[e.episode_id] for e in alone if not e.success)]
    rows = resampling_rows(successes, failures, config)
    learned = {e.policy_id for e in alone if e.group_id in inputs.value_model(work).fold_of}
    in_time = sorted(alone, key=lambda e: (str(work.store.attributes(e.episode_id)["recorded_at"]), e.episode_id))
    for policy in sorted({e.policy_id for e in alone}):
        own = [(runs[e.episode_id], bool(e.success)) for e in in_time if e.policy_id == policy]
        rows += recalibrated_rows(own, policy, config, seen=policy in learned)
    return rows


def _label_rows(work: Work) -> list[Row]:
    from models.announcement import announced
    from models.report_runs import label_rows

    episodes, reaction_s = inputs.episodes(work), resolve("labels", work.snapshot.settings).reaction_s
    marked = marked_steps(pl.read_parquet(work.upstream("labels/stagnation") / "frames.parquet"))
    return [row for rule, flags in marked.items() for row in label_rows(announced(flags, episodes, reaction_s), rule)]


def _run_rows(work: Work) -> list[Row]:
    from models.report_runs import run_rows

    driven = {name: inputs.episodes(work, name) for name in work.sessions}
    return [
        row
        for name, episodes in driven.items()
        if any(episode.collection != "demo" for episode in episodes)
        for row in run_rows(episodes, name)
    ]


def _recovery_rows(work: Work) -> list[Row]:
    """Retrieval for every labelled stall outside the test split, and what recorded recoveries regained."""
    from models.memory import RecoveryMemory
    from models.recall import SituationEncoder
    from models.report_runs import recovery_rows, retrieval_rows

    place = work.upstream("memory/recovery")
    encoder = SituationEncoder.load(place)
    memory = RecoveryMemory.load(place, encoder.encoder_id)
    values = inputs.values(work)
    episodes = [episode for episode in inputs.episodes(work) if episode.episode_id in values]
    labels = pl.read_parquet(work.upstream("labels/audited") / "labels.parquet").filter(pl.col("verdict") != "reject")
    stalls: dict[str, list[int]] = {}
    for row in labels.iter_rows(named=True):
        stalls.setdefault(row["episode_id"], []).append(row["stop"] - 1)
    told = "labelled stalls, their own episode left out"
    rows = retrieval_rows(memory, encoder, episodes, values, stalls, told)
    return [*rows, *recovery_rows(episodes, values, "all recordings")]


def _latency_rows(work: Work, by_split: Mapping[str, Judged]) -> list[Row]:
    from models.latency import latency_rows

    pairs = next((pairs for pairs in by_split.values() if pairs), ())
    parts = {
        "value": work.upstream("values/model"),
        "trigger": work.upstream("models/intervention"),
        "memory": work.upstream("memory/recovery"),
        "recovery": work.upstream("models/recovery"),
    }
    return latency_rows(parts, pairs[0][0]) if pairs else []
