"""How labels agree with what is known without them: successes nobody helped, takeovers, and what people decided.

Pure: flags (T,) of each episode in, counts out. What a stage reports and what the app previews are the same numbers
because both ask here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from episodes.record import ActionSource, Array
from models.dataset import StepData

ALIGNED_WITHIN_S = 3.0
"""a label that touches this last stretch before the takeover is aligned"""
MOSTLY = 0.5
"""a decided interval counts as labelled where this share of its steps is"""


def takeovers(source: pl.Series) -> list[int]:
    """Steps at which a person took over from the policy or a recovery."""
    robots = source.is_in([ActionSource.POLICY, ActionSource.RECOVERY])
    return ((source == ActionSource.HUMAN) & robots.shift(1, fill_value=False)).arg_true().to_list()


def aligned_takeovers(marked: Mapping[str, Array], episodes: Iterable[StepData]) -> tuple[int, int]:
    """(takeovers that a label shortly precedes, takeovers) in the episodes that `marked` knows."""
    aligned = total = 0
    for episode in episodes:
        if episode.episode_id not in marked:
            continue
        before = round(ALIGNED_WITHIN_S * episode.fps)
        for step in takeovers(pl.Series(episode.source)):
            total += 1
            aligned += bool(marked[episode.episode_id][max(0, step - before) : step].any())
    return aligned, total


def success_rate_of_labels(marked: Mapping[str, Array], episodes: Iterable[StepData]) -> float:
    """Share of the steps of unaided successes that are labelled; 0 without any."""
    clean = [marked[e.episode_id] for e in episodes if e.success and e.unaided and e.episode_id in marked]
    return float(np.concatenate(clean).mean()) if clean else 0.0


Interval = tuple[str, int, int]
"""episode_id, start, stop"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """Labels against intervals that people decided on."""

    found: int
    """of `stuck`, those that are mostly labelled"""
    stuck: int
    false: int
    """of `free`, those that are mostly labelled"""
    free: int


def agreement(marked: Mapping[str, Array], *, stuck: Sequence[Interval], free: Sequence[Interval]) -> Agreement:
    """Intervals in which a person saw the robot stuck, and in which it was not, against labels."""

    def mostly(intervals: Sequence[Interval]) -> tuple[int, int]:
        known = [marked[name][start:stop] for name, start, stop in intervals if name in marked]
        judged = [flags for flags in known if len(flags)]
        return sum(float(np.mean(flags)) >= MOSTLY for flags in judged), len(judged)

    (found, all_stuck), (false, all_free) = mostly(stuck), mostly(free)
    return Agreement(found=found, stuck=all_stuck, false=false, free=all_free)
