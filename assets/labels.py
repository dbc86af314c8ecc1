"""Stagnation labels: mined, then as people left them."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import polars as pl

from assets import checks, inputs, plots
from assets.graph import stage
from assets.making import Made, Work

if TYPE_CHECKING:
    from collections.abc import Sequence

RULES = ("stagnation", "decline", "plateau", "abrupt_drop", "seed_rule")
"""columns of frames.parquet; only the first is trained on, the published ones are there to be compared"""


@stage("labels/stagnation")
def stagnation(work: Work) -> Made:
    """Mine every episode that has a curve."""
    from models.agreement import aligned_takeovers
    from models.labelling import mine_task

    episodes = inputs.episodes(work)
    mined = mine_task(episodes, inputs.values(work), work.config("stagnation"))
    mined.labels.write_parquet(work.out / "labels.parquet")
    mined.frames.write_parquet(work.out / "frames.parquet")
    (work.out / "params.json").write_text(json.dumps(asdict(mined.params), sort_keys=True, indent=1))
    rates = label_rates(mined.frames, [e.episode_id for e in episodes if e.success and e.unaided])
    aligned, takeovers = aligned_takeovers(inputs.by_episode(mined.frames, "stagnation"), episodes)
    told = {"episodes": mined.frames["episode_id"].n_unique(), "intervals": len(mined.labels)}
    return Made(
        metadata=told | dict(mined.labels["rule"].value_counts().sort("rule").iter_rows()),
        checks=(checks.label_rates(rates), checks.takeover_alignment(aligned, takeovers)),
        plots={"rates": plots.bars(rates, "share of success steps", checks.MAX_LABEL_RATE)},
    )


def label_rates(frames: pl.DataFrame, successes: Sequence[str]) -> dict[str, float]:
    """Share of the steps of these episodes that each rule marks; 0 without any."""
    steps = frames.filter(pl.col("episode_id").is_in(list(successes)))
    return {rule: float(steps[rule].mean() or 0.0) for rule in RULES}  # type: ignore[arg-type]


@stage("labels/audited")
def audited(work: Work) -> Made:
    """The mined labels with the decisions of the latest label freeze."""
    from models.labelling import apply_audit

    mined = pl.read_parquet(work.upstream("labels/stagnation") / "labels.parquet")
    sessions = {episode_id: session for session in work.sessions for episode_id in work.snapshot.ids[session]}
    labels = apply_audit(mined, work.decisions, sessions)
    labels.write_parquet(work.out / "labels.parquet")
    made = work.snapshot.freezes["labels"]
    told = {"intervals": len(labels), "made by a person": int((labels["origin"] == "human").sum())}
    return Made(
        metadata=told | dict(labels["verdict"].value_counts().sort("verdict").iter_rows()),
        checks=(checks.freeze_stands("label_freeze", "labels", made, work.workspace),),
    )
