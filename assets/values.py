"""The proxy value and its curves."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING

import polars as pl

from assets import checks, inputs, learning, plots
from assets.graph import stage
from assets.making import Made, Work
from episodes.record import Array

if TYPE_CHECKING:
    from models.dataset import StepData

DRAWN = 40
"""curves a picture"""


@stage("values/model")
def model(work: Work) -> Made:
    """Cross-fit V and the stall heads, then judge them on curves of nets that did not see the episode.

    Without any outcome nothing is even read: that is said before what else the recordings may lack.
    """
    from models.evaluation import value_report
    from models.value_gate import value_gate
    from models.value_training import fit_value, without_pictures

    known = checks.outcomes_known(inputs.usable(work)["success"])
    if known.blocks:
        return Made(checks=(known,))
    episodes = inputs.episodes(work)
    training = learning.training(work)
    fitted = fit_value(episodes, work.config("value"), progress=work.progress, training=training)
    model_hash = fitted.save(work.out)
    judged = [episode for episode in episodes if episode.success is not None]
    curves = {episode.episode_id: inputs.curves_of(fitted, model_hash, episode) for episode in judged}
    values = {name: curve.value for name, curve in curves.items()}
    scores = {name: curve.success_score for name, curve in curves.items()}
    pace_s = fitted.median_duration_s
    report = value_report(judged, values, scores, median_duration_s=pace_s)
    own = [episode for episode in judged if episode.group_id in fitted.fold_of]
    lines = value_gate(own, values, scores, median_duration_s=pace_s, reference=without_pictures(own, fitted))
    (work.out / "gate.json").write_text(json.dumps(checks.gate_json(lines), indent=1, allow_nan=False))
    told = {"model": model_hash, "trained on": len(fitted.fold_of), "median duration, s": pace_s}
    learned, drawn = learning.told(work, training)
    curve = plots.curves(_by_outcome((episode, values[episode.episode_id]) for episode in judged), "V")
    return Made(
        metadata=told | checks.figures(report) | learned,
        checks=(known, checks.value_calibration(lines)),
        plots={"curves": curve, **drawn},
    )


@stage("values/curves")
def curves(work: Work) -> Made:
    """One Parquet file, named by the model, with a row for every step of the session."""
    from models.sidecars import value_frame

    judged = list(inputs.judged(work, work.partition))
    frames = [value_frame(episode, curves) for episode, curves in judged]
    table = pl.concat(frames) if frames else pl.DataFrame(schema=inputs.VALUE_SCHEMA)
    table.write_parquet(work.out / f"{inputs.value_hash(work)}.parquet")
    lines = [(episode, curves.value) for episode, curves in judged]
    return Made(
        metadata={"episodes": len(frames), "steps": len(table)},
        plots={"curves": plots.curves(_by_outcome(lines), "V")},
    )


def _by_outcome(lines: Iterable[tuple[StepData, Array]]) -> dict[str, list[Array]]:
    """Curves grouped as success, failure and unknown, at most `DRAWN` each."""
    groups: dict[str, list[Array]] = {}
    names = {True: "success", False: "failure", None: "unknown"}
    for episode, line in lines:
        groups.setdefault(names[episode.success], []).append(line)
    return {name: group[:DRAWN] for name, group in sorted(groups.items())}
