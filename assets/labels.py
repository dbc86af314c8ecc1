"""Stagnation labels: mined, then as people left them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict

import numpy as np
import polars as pl

from assets import checks, inputs, plots
from assets.graph import stage
from assets.making import Made, Work
from episodes.record import Array

RULES = ("stagnation", "decline", "plateau", "abrupt_drop", "seed_rule")
"""columns of frames.parquet: ours, the three of the release, and the blog's"""
RELEASE = ("decline", "plateau", "abrupt_drop")


@stage("labels/stagnation")
def stagnation(work: Work) -> Made:
    """Mine every episode that has a curve."""
    from models.agreement import aligned_takeovers
    from models.announcement import announced
    from models.labelling import mine_task

    episodes, config = inputs.episodes(work), work.config("labels")
    mined = mine_task(episodes, inputs.values(work), work.config("stagnation"), rule=config.rule)
    mined.labels.write_parquet(work.out / "labels.parquet")
    mined.frames.write_parquet(work.out / "frames.parquet")
    (work.out / "params.json").write_text(json.dumps(asdict(mined.params), sort_keys=True, indent=1))
    marked = marked_steps(mined.frames)
    rates = label_rates(marked, [e.episode_id for e in episodes if e.success and e.unaided])
    aligned, takeovers = aligned_takeovers(marked[config.rule], episodes)
    against = {rule: announced(flags, episodes, config.reaction_s).told() for rule, flags in marked.items()}
    told = {"episodes": mined.frames["episode_id"].n_unique(), "intervals": len(mined.labels), "labels of": config.rule}
    people = {f"{rule} against takeovers: {name}": x for rule, found in against.items() for name, x in found.items()}
    return Made(
        metadata=told | dict(mined.labels["rule"].value_counts().sort("rule").iter_rows()) | people,
        checks=(checks.label_rates(rates, config.rule), checks.takeover_alignment(aligned, takeovers)),
        plots={"rates": plots.bars(rates, "share of success steps", checks.MAX_LABEL_RATE)},
    )


def marked_steps(frames: pl.DataFrame) -> dict[str, dict[str, Array]]:
    """rule -> episode_id -> (T,) bool, for each part of a rule and for the release's three together."""
    either = frames.with_columns(three_rules=pl.any_horizontal(*RELEASE))
    return {rule: inputs.by_episode(either, rule) for rule in (*RULES, "three_rules")}


def label_rates(marked: Mapping[str, Mapping[str, Array]], successes: Sequence[str]) -> dict[str, float]:
    """Share of the steps of these episodes that each rule marks; 0 without any."""
    found = {rule: [flags[name] for name in successes if name in flags] for rule, flags in marked.items()}
    return {rule: float(np.concatenate(flags).mean()) if flags else 0.0 for rule, flags in found.items()}


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
