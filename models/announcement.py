"""Labels against the people who took over: how early a label comes, which takeovers it misses, what it marks in vain.

A person decides `reaction_s` before the first step under their control; a label of the same stretch of policy control
that starts before then announces the takeover, and leads it by that much. A labelled stretch of policy control that no
takeover or failure ends was marked in vain: the robot got out by itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from episodes.record import ActionSource, Array
from models.curve import true_runs
from models.dataset import StepData


@dataclass(frozen=True, slots=True, kw_only=True)
class Announced:
    """One rule against the takeovers of a task."""

    takeovers: int
    leads_s: tuple[float, ...]
    """of the takeovers that a label came before"""
    in_vain: int
    """labels in stretches that nothing ended"""
    calm_s: float
    """how long those stretches are together"""

    @property
    def missed(self) -> int:
        return self.takeovers - len(self.leads_s)

    def told(self) -> dict[str, float | int | None]:
        """For metadata: median lead, misses, false alarms a minute; None where undefined."""
        return {
            "takeovers": self.takeovers,
            "missed": self.missed,
            "lead_s": round(float(np.median(self.leads_s)), 3) if self.leads_s else None,
            "in_vain_per_minute": round(60 * self.in_vain / self.calm_s, 3) if self.calm_s else None,
        }


def announced(marked: Mapping[str, Array], episodes: Iterable[StepData], reaction_s: float) -> Announced:
    """`marked`: episode_id -> (T,) bool of a rule; other episodes are left out."""
    leads: list[float] = []
    takeovers = in_vain = 0
    calm_s = 0.0
    for episode in episodes:
        flags = marked.get(episode.episode_id)
        for start, stop, end in _policy_runs(episode) if flags is not None else ():
            assert flags is not None
            starts = [first for first, _ in true_runs(flags[start:stop])]
            if end == "takeover":
                takeovers += 1
                lead = (stop - start - starts[0]) / episode.fps - reaction_s if starts else -1.0
                leads += [lead] if lead >= 0 else []
            elif end == "nothing":
                in_vain, calm_s = in_vain + len(starts), calm_s + (stop - start) / episode.fps
    return Announced(takeovers=takeovers, leads_s=tuple(leads), in_vain=in_vain, calm_s=calm_s)


def _policy_runs(episode: StepData) -> list[tuple[int, int, str]]:
    """[start, stop) of each stretch of policy control, and what ended it: takeover, failure or nothing."""
    found, runs = [], episode.runs
    for index, (start, stop) in enumerate(runs):
        if episode.source[start] == ActionSource.POLICY:
            taken = index + 1 < len(runs) and episode.source[stop] == ActionSource.HUMAN
            failed = stop == len(episode) and episode.success is False
            found.append((start, stop, "takeover" if taken else "failure" if failed else "nothing"))
    return found
