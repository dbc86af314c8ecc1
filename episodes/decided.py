"""What the files say about episodes, with what people decided laid over it.

Models take outcomes, exclusions and weights from here and never from the file. Without a decision the file stands;
an outcome nobody knows stays `unknown`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import polars as pl

from episodes.errors import DataRefused
from episodes.record import Outcome
from episodes.store import EpisodeStore

SCHEMA = {
    "episode_id": pl.String,
    "session": pl.String,
    "success": pl.String,
    "success_derivation": pl.String,
    "failure_mode": pl.String,
    "excluded": pl.Boolean,
    "weight": pl.Float64,
    "note": pl.String,
    "collection": pl.String,
    "complete": pl.Boolean,
    "length": pl.Int64,
    "duration_s": pl.Float64,
}


def decide(store: EpisodeStore, task: str, decisions: Mapping[str, Mapping[str, Any]]) -> pl.DataFrame:
    """One row for each episode of `task`, sorted by episode_id, with the columns of `SCHEMA`.

    `decisions` maps an episode_id to some of `success failure_mode excluded weight note`, as an episode freeze holds
    them; {} without a freeze. Ids of other tasks are passed over. `DataRefused` for an outcome that is none, or a
    weight that is not finite or below zero. What a crash left (`complete` false) is excluded until a person decides
    otherwise; so is, in every case, what is given the weight zero. By other weights training draws more or fewer steps.
    """
    rows = [
        _decided(store.attributes(episode_id), decisions.get(episode_id, {})) for episode_id in store.ids(task=task)
    ]
    return pl.DataFrame(rows, schema=SCHEMA)


def _decided(recorded: Mapping[str, Any], decision: Mapping[str, Any]) -> dict[str, Any]:
    _check(recorded["episode_id"], decision)
    given, weight = "success" in decision, float(decision.get("weight", 1.0))
    return {
        **{
            name: recorded[name] for name in ("episode_id", "session", "collection", "complete", "length", "duration_s")
        },
        "success": decision["success"] if given else recorded["success"],
        "success_derivation": "episode freeze" if given else recorded["success_derivation"],
        "failure_mode": decision.get("failure_mode", ""),
        "excluded": decision.get("excluded", not recorded["complete"]) or weight == 0,
        "weight": weight,
        "note": decision.get("note", ""),
    }


def _check(episode_id: str, decision: Mapping[str, Any]) -> None:
    success = decision.get("success", Outcome.UNKNOWN.value)
    if success not in {outcome.value for outcome in Outcome}:
        raise DataRefused(f"episode {episode_id} is decided {success!r}; use success, failure or unknown")
    if not 0 <= float(decision.get("weight", 1.0)) < math.inf:
        raise DataRefused(f"episode {episode_id} has weight {decision['weight']}; use a finite number, zero or more")
