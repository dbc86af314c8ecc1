"""The retrieved pairs as a person sees them: those the memory gives now, then those that people took out of it.

A rejected pair is gone from the memory after the next materialization; it stays in this list, as out, so that it can be
looked at again and brought back. Pure: tables and decisions in.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

import polars as pl

_PAIR_ID = re.compile(r"([^:>]+):(\d+)>([^:>]+):(\d+)")
NAN = math.nan


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A stuck step and a goal."""

    pair_id: str
    query_episode: str
    query_t: int
    goal_episode: str
    goal_t: int
    key_t: int | None = None
    """step of the goal's rollout that was found similar; None where nobody knows any more"""
    similarity: float = NAN
    query_value: float = NAN
    goal_value: float = NAN
    rank: int = 1
    """1 is what the robot would be given"""
    verdict: str = ""
    """empty while undecided"""
    out: bool = False
    """taken out of the memory: not retrieved any more"""


def pairs_of(
    table: pl.DataFrame, decisions: Mapping[str, Mapping[str, Any]], removed: Collection[str] = ()
) -> list[Pair]:
    """Of the memory, by stuck episode and step, the most similar first; then those whose goal is out of it.

    `removed`: ids of the memory's items that people took out, each ending with its goal.
    """
    ordered = table.sort("query_episode", "query_t", "similarity", descending=[False, False, True])
    kept = [_given(row, decisions) for row in ordered.iter_rows(named=True)]
    known = {pair.pair_id for pair in kept}
    gone = {item.rpartition(">")[2] for item in removed}
    others = [
        named(item, decided.get("verdict", "")) for item, decided in sorted(decisions.items()) if item not in known
    ]
    return [*kept, *(pair for pair in others if pair and f"{pair.goal_episode}:{pair.goal_t}" in gone)]


def named(pair_id: str, verdict: str = "") -> Pair | None:
    """What the name of a pair says of it; None for what names none."""
    found = _PAIR_ID.fullmatch(pair_id)
    if found is None:
        return None
    query, goal = (found[1], int(found[2])), (found[3], int(found[4]))
    ends = {"query_episode": query[0], "query_t": query[1], "goal_episode": goal[0], "goal_t": goal[1]}
    return Pair(pair_id=pair_id, verdict=verdict, out=True, **ends)  # type: ignore[arg-type]


def _given(row: Mapping[str, Any], decisions: Mapping[str, Mapping[str, Any]]) -> Pair:
    fields = {name: row[name] for name in Pair.__dataclass_fields__ if name in row}
    pair = Pair(**fields)
    return replace(pair, verdict=decisions.get(pair.pair_id, {}).get("verdict", ""))
