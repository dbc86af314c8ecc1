"""How good the models are on what they did not see: `report.html` for people, `report.json` for a release."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import polars as pl

from assets import inputs, plots
from assets.graph import stage
from assets.making import Made, Work
from assets.report_lines import ALARMS, Judged, report_rows
from assets.report_page import page
from episodes.record import Array

if TYPE_CHECKING:
    from models.report_rows import Row

SPLITS = {"held_out": ("validation", "test"), "out_of_fold": ("train", "calibration")}


@stage("reports/offline")
def offline(work: Work) -> Made:
    """Value and trigger on the held-out splits validation and test, and out of fold on what the models learned from.

    Where the episodes come from the simulator the trigger is held against the simulator's own knowledge of stalls.
    """
    judged = [pair for session in work.sessions for pair in inputs.judged(work, session) if pair[0].success is not None]
    triggers = {name: _triggers(work, name) for name in ALARMS}
    by_split = {name: [pair for pair in judged if pair[0].split in splits] for name, splits in SPLITS.items()}
    report = {name: _judge(work, pairs, triggers) for name, pairs in by_split.items()}
    (work.out / "report.json").write_text(json.dumps(report, indent=1, allow_nan=False))
    rows = report_rows(work, {name.replace("_", " "): pairs for name, pairs in by_split.items()}, triggers)
    pictures = _pictures(work, by_split["held_out"])
    _write_page(work, rows, pictures)
    return Made(metadata=_flat(report) | {"lines of report.html": len(rows)}, plots=pictures)


def _write_page(work: Work, rows: list[Row], pictures: Mapping[str, bytes]) -> None:
    """`report.html`, and its lines as `rows.json`."""
    (work.out / "rows.json").write_text(json.dumps([row.json() for row in rows], indent=1, allow_nan=False))
    gate = json.loads((work.upstream("values/model") / "gate.json").read_text())
    freeze = inputs.freeze_name(work, "labels/audited")
    told = [
        f"Value model {inputs.value_hash(work)}.",
        f"Labels of freeze {freeze}." if freeze else "Labels as mined: no label freeze was read.",
    ]
    (work.out / "report.html").write_text(page(work.task, told, gate, rows, pictures))


def _pictures(work: Work, held_out: Judged) -> dict[str, bytes]:
    """V of the held-out episodes by outcome, and the trigger's score of the same."""
    scores = _triggers(work, "score")
    lines: dict[str, dict[str, list[Array]]] = {"V": {}, "score of the trigger": {}}
    for episode, curves in held_out:
        if episode.unaided:
            group = "success" if episode.success else "failure"
            lines["V"].setdefault(group, []).append(curves.value)
            lines["score of the trigger"].setdefault(group, []).append(scores[episode.episode_id])
    return {name.replace(" ", "_"): plots.curves(groups, name) for name, groups in lines.items()}


def _flat(report: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> dict[str, Any]:
    """Each figure and its n by one name, so that the UI draws them over time."""
    return {
        f"{split}, {part}: {name}{suffix}": figure[key]
        for split, parts in report.items()
        for part, figures in parts.items()
        for name, figure in figures.items()
        for key, suffix in (("value", ""), ("n", ", n"))
    }


def _judge(work: Work, judged: Judged, triggers: Mapping[str, Mapping[str, Array]]) -> dict[str, Any]:
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
    """episode_id -> (T,) one column of the trigger curves."""
    frames = pl.concat([inputs.curves(work, "triggers/curves", session) for session in work.sessions])
    return inputs.by_episode(frames, name)
