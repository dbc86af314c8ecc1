"""From value curves to trigger labels: what our rule mined, what the published rules say, what people decided.

`labels`: one row a mined interval [start, stop), with the terms that explain it. `frames`: one row a step, with every
rule's verdict and terms. An audit is applied on top and never changes what was mined.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import polars as pl

from episodes.record import Array
from models.dataset import StepData
from models.label_rules import published_segments
from models.mining import mine_seed_rule, mine_three_rules
from models.stagnation import (
    StagnationConfig,
    StagnationLabels,
    StagnationParams,
    StagnationSegment,
    mine_stagnation,
)

_LABEL_ID = re.compile(r"([^:]+):(\d+)-(\d+)")
SAME_INTERVAL = 0.5
"""intersection over union from which two intervals are the same stall"""
LABEL_SCHEMA = {
    "label_id": pl.String,
    "episode_id": pl.String,
    "session": pl.String,
    "start": pl.Int64,
    "stop": pl.Int64,
    "rule": pl.String,
    "terms": pl.String,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class MinedTask:
    """The labels of one task."""

    labels: pl.DataFrame
    frames: pl.DataFrame
    params: StagnationParams


def mine_task(
    episodes: Sequence[StepData],
    values: Mapping[str, Array],
    config: StagnationConfig | None = None,
    *,
    rule: str = "stagnation",
) -> MinedTask:
    """Mine every episode of `episodes` that has a curve in `values` (episode_id -> (T,) V).

    The intervals are those of `rule` (`LabelConfig`); every rule's verdict on each step is in `frames`.
    """
    known = [e for e in episodes if e.episode_id in values]
    params = task_params(known, values, config or StagnationConfig())
    rows: list[dict[str, Any]] = []
    frames = []
    for episode in known:
        curve = values[episode.episode_id]
        mined = mine_stagnation(curve, time_s=episode.time_s, source=episode.source, params=params)
        segments = mined.segments if rule == "stagnation" else published_segments(episode, curve, rule)
        rows += _label_rows(episode, segments)
        frames.append(_frame(episode, curve, mined))
    return MinedTask(labels=pl.DataFrame(rows, schema=LABEL_SCHEMA), frames=pl.concat(frames), params=params)


def task_params(
    episodes: Sequence[StepData], values: Mapping[str, Array], config: StagnationConfig
) -> StagnationParams:
    """The rule with the task's pace and value range, from the unaided successes of the training split."""
    pace = [e for e in episodes if e.success and e.unaided and e.split == "train"]
    durations = [len(e) / e.fps for e in pace]
    return StagnationParams.fit([values[e.episode_id] for e in pace], durations, **asdict(config))


def label_id(episode_id: str, start: int, stop: int) -> str:
    """The name of an interval, in the audit log and everywhere else."""
    return f"{episode_id}:{start}-{stop}"


def _label_rows(episode: StepData, segments: Sequence[StagnationSegment]) -> list[dict[str, Any]]:
    return [
        {
            "label_id": label_id(episode.episode_id, s.start, s.stop),
            "episode_id": episode.episode_id,
            "session": episode.session,
            "start": s.start,
            "stop": s.stop,
            "rule": s.rule,
            "terms": json.dumps({"detected": s.detected, **s.terms}, sort_keys=True),
        }
        for s in segments
    ]


def _frame(episode: StepData, curve: Array, mined: StagnationLabels) -> pl.DataFrame:
    published = mine_three_rules(curve)
    return pl.DataFrame(
        {
            "episode_id": [episode.episode_id] * len(episode),
            "frame_index": np.arange(len(episode)),
            "stagnation": mined.label,
            "decline": published.decline,
            "plateau": published.plateau,
            "abrupt_drop": published.abrupt_drop,
            "seed_rule": mine_seed_rule(curve),
            **mined.terms,
        }
    )


def apply_audit(
    labels: pl.DataFrame, decisions: Mapping[str, Mapping[str, Any]], sessions: Mapping[str, str]
) -> pl.DataFrame:
    """Labels after a freeze: the same columns with `verdict` and `origin`.

    `sessions`: episode_id -> session of every episode that may be decided on, also of those without a mined label.

    A rejected or unsure interval keeps its row, so that it can be seen; training takes the first for no stall and
    leaves the second out. An edited one has the person's start and stop under its old id; a created one is a new row of
    origin "human". What was decided on an interval that a retrained value model mines a little differently goes to the
    interval it overlaps most; where there is none, what a person saw as stagnation stays, and a rejection has nothing
    left to reject.
    """
    matched, unmatched = match_decisions(labels, decisions)
    rows = []
    for row in labels.iter_rows(named=True):
        decision = matched.get(row["label_id"], {})
        rows.append(
            row
            | {"start": decision.get("start", row["start"]), "stop": decision.get("stop", row["stop"])}
            | {"verdict": decision.get("verdict", "unaudited"), "origin": "mined"}
        )
    rows += [_human_row(name, d, sessions) for name, d in unmatched.items() if d.get("verdict") != "reject"]
    return pl.DataFrame(rows, schema={**LABEL_SCHEMA, "verdict": pl.String, "origin": pl.String})


Decisions = dict[str, Mapping[str, Any]]


def match_decisions(labels: pl.DataFrame, decisions: Mapping[str, Mapping[str, Any]]) -> tuple[Decisions, Decisions]:
    """Decisions by the mined label they are about, and those that no mined label fits.

    A decision on an interval that is mined a little differently now goes to the label it overlaps most; where that one
    has a decision of its own, the older one is over. An item that names no interval says nothing.
    """
    mined = {row["label_id"]: row for row in labels.iter_rows(named=True)}
    matched: Decisions = {name: d for name, d in decisions.items() if name in mined}
    unmatched: Decisions = {}
    for name, decision in sorted(decisions.items()):
        place = parse_label_id(name)
        if name in mined or place is None:
            continue
        own = [row for row in mined.values() if row["episode_id"] == place[0]]
        best = max(own, key=lambda row: _overlap(row, place), default=None)
        if "episode_id" in decision or best is None or _overlap(best, place) < SAME_INTERVAL:
            unmatched[name] = decision
        else:
            matched.setdefault(best["label_id"], decision)
    return matched, unmatched


def parse_label_id(name: str) -> tuple[str, int, int] | None:
    """(episode_id, start, stop) of an interval's name; None for what is no such name."""
    found = _LABEL_ID.fullmatch(name)
    return (found[1], int(found[2]), int(found[3])) if found else None


def _overlap(row: Mapping[str, Any], place: tuple[str, int, int]) -> float:
    """Intersection over union of two intervals, in steps."""
    _, start, stop = place
    both = min(stop, row["stop"]) - max(start, row["start"])
    return float(max(both, 0) / (max(stop, row["stop"]) - min(start, row["start"])))


def _human_row(name: str, decision: Mapping[str, Any], sessions: Mapping[str, str]) -> dict[str, Any]:
    place = parse_label_id(name)
    assert place is not None, "match_decisions leaves out what names no interval"
    episode_id, start, stop = place
    return {
        "label_id": name,
        "episode_id": episode_id,
        "session": sessions[episode_id],
        "start": decision.get("start", start),
        "stop": decision.get("stop", stop),
        "rule": "human",
        "terms": "{}",
        "verdict": decision.get("verdict", "accept"),
        "origin": "human",
    }


def trained_labels(audited: pl.DataFrame, lengths: Mapping[str, int]) -> dict[str, Array]:
    """episode_id -> (T,) float: 1 inside an interval that stands, 0 outside, NaN inside one a person was unsure of."""
    out = {episode_id: np.zeros(length) for episode_id, length in lengths.items()}
    for row in audited.filter(pl.col("verdict") != "reject").iter_rows(named=True):
        if row["episode_id"] in out:
            inside = np.nan if row["verdict"] == "unsure" else 1.0
            out[row["episode_id"]][row["start"] : row["stop"]] = inside
    return out
