"""How good retrieval is by what people decided: P@1, nDCG@5, unsafe rate, each with n and a 95 % interval. Pure.

Counted are the pairs people judged, at the rank they were shown at; a pair taken out of the memory since still counts,
or the memory would be judged by what is left of it. nDCG has gain 1 for a valid goal, 0 else, over the judged goals
of each stuck state in the order of their rank.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from audits.events import Event
from models.metrics import bootstrap_interval, wilson_interval

DEEPEST = 5


@dataclass(frozen=True, slots=True)
class Score:
    """One figure."""

    name: str
    value: float
    """NaN without any"""
    low: float
    high: float
    n: int
    of: str


def ranks(events: Iterable[Event]) -> dict[str, int]:
    """Pair id -> the rank it was last judged at; 1 where it was not noted."""
    return {event.item: int(event.shown.get("rank", 1)) for event in events if event.kind == "pair.verdict"}


def scores(decisions: Mapping[str, Mapping[str, Any]], rank: Mapping[str, int]) -> list[Score]:
    """`decisions`: pair id -> verdict; `rank`: pair id -> rank."""
    judged = {item: decided["verdict"] for item, decided in decisions.items() if decided.get("verdict")}
    first = [verdict == "valid" for item, verdict in judged.items() if rank.get(item, 1) == 1]
    unsafe = [verdict == "unsafe" for verdict in judged.values()]
    by_query: dict[str, list[tuple[int, bool]]] = {}
    for item, verdict in judged.items():
        if rank.get(item, 1) <= DEEPEST:
            by_query.setdefault(item.partition(">")[0], []).append((rank.get(item, 1), verdict == "valid"))
    gains = [_ndcg([valid for _, valid in sorted(found)]) for found in by_query.values()]
    low, high = bootstrap_interval(gains)
    mean = sum(gains) / len(gains) if gains else math.nan
    return [
        _share("P@1", first, "goals shown first"),
        Score(f"nDCG@{DEEPEST}", mean, low, high, len(gains), "stuck states"),
        _share("unsafe rate", unsafe, "goals judged"),
    ]


def _ndcg(valid: list[bool]) -> float:
    """Of judged goals in the order of their rank; 0 where none is valid."""
    best = sum(1 / math.log2(at + 2) for at in range(sum(valid)))
    return sum(1 / math.log2(at + 2) for at, is_valid in enumerate(valid) if is_valid) / best if best else 0.0


def _share(name: str, flags: list[bool], of: str) -> Score:
    low, high = wilson_interval(sum(flags), len(flags))
    return Score(name, sum(flags) / len(flags) if flags else math.nan, low, high, len(flags), of)
