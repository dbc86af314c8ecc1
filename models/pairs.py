"""Which moments of past rollouts become recovery targets: pairs of a state and a better one reached soon after.

A candidate starts at t and ends at the best state within `span_s`, in the same stretch of control, where that is worth
at least `gain` more than the start and at least `end_value`. The chosen ones are spread over the task by the value of
their start, with a cap per episode, larger gains first. The UniIntervene release does the same with a fixed span, and
fails where it finds fewer than it was asked for; here a small memory is built, and the report says how small.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from episodes.errors import UsageError
from episodes.record import ActionSource
from models.curve import as_curve, as_source, as_time, control_runs


@dataclass(frozen=True, slots=True)
class Pair:
    """Two steps of one episode, the second later and better."""

    t: int
    goal_t: int
    value: float
    goal_value: float
    span_s: float
    """time between them"""

    @property
    def gain(self) -> float:
        """Value gained on the way."""
        return self.goal_value - self.value


def mine_pairs(
    values: npt.ArrayLike,
    source: npt.ArrayLike | None = None,
    *,
    time_s: npt.ArrayLike,
    span_s: float,
    gain: float,
    end_value: float,
    horizon: int = 8,
    max_gap_s: float = 0.5,
) -> list[Pair]:
    """Candidates of one episode in time order, one for each start at most; values (T,) raw, time in seconds.

    The goal lies `horizon` steps or more ahead, so that a whole chunk of actions leads towards it. No pair crosses a
    change of source or a pause, none lies in a HOLD; what a person did counts, it is the best recovery there is.
    DataRefused on NaN, inf or unequal lengths.
    """
    if not span_s > 0 or not gain > 0 or horizon < 1:
        raise UsageError(f"pairs over {span_s} s with gain {gain} and horizon {horizon} are none; use numbers above 0")
    curve = as_curve(values)
    time = as_time(time_s, len(curve))
    codes = None if source is None else as_source(source, len(curve))
    pairs = []
    for first, stop in control_runs(codes, time, length=len(curve), max_gap_s=max_gap_s):
        if codes is not None and codes[first] == ActionSource.HOLD:
            continue
        ends = np.minimum(np.searchsorted(time, time + span_s, side="right"), stop)
        for t in range(first, stop - horizon):
            reach = curve[t + horizon : ends[t]]
            goal_t = t + horizon + int(np.argmax(reach)) if reach.size else t
            pair = Pair(t, goal_t, float(curve[t]), float(curve[goal_t]), float(time[goal_t] - time[t]))
            if pair.gain >= gain and pair.goal_value >= end_value:
                pairs.append(pair)
    return pairs


@dataclass(frozen=True, slots=True)
class ChosenPairs:
    """The pairs a memory is built of, and how well they fill it."""

    pairs: tuple[tuple[str, Pair], ...]
    """(episode_id, pair), by episode and time"""
    wanted: int
    candidates: int
    per_bin: tuple[int, ...]
    """chosen pairs by value of their start, equal bins over [0, 1]"""
    lowered: float = 1.0
    """share of the gain and end value asked for at which they were found"""

    def report(self) -> str:
        """One sentence for people: how full the memory is and what to do if it is not."""
        found = len(self.pairs)
        spread = f"{found} of {self.wanted} recovery targets from {self.candidates} candidates"
        if self.lowered < 1:
            spread += f" at {self.lowered:g} of the gain and end value asked for"
        if found == self.wanted:
            return f"{spread}; smallest gain {min(pair.gain for _, pair in self.pairs):.2f}."
        return f"{spread}: collect more rollouts, or lower the gain or the end value, for a fuller memory."


def choose_pairs(
    candidates: Mapping[str, Sequence[Pair]],
    *,
    count: int = 120,
    bins: int = 10,
    per_episode: int = 2,
    apart: int = 8,
) -> ChosenPairs:
    """At most `count` pairs of many episodes: first count/bins from each bin of start value, then the best of the rest.

    Larger gain first, then the steeper, then the earlier. At most `per_episode` from one episode, with starts at least
    `apart` steps from each other: neighbours are the same state twice.
    """
    if min(count, bins, per_episode) < 1:
        raise UsageError(f"{count} pairs in {bins} bins, {per_episode} an episode, are none; use 1 or more")
    ranked = sorted(
        ((episode_id, pair) for episode_id in sorted(candidates) for pair in candidates[episode_id]),
        key=lambda entry: (-entry[1].gain, -entry[1].gain / entry[1].span_s, entry[1].t),
    )
    chosen: list[tuple[str, Pair]] = []
    filled: Counter[int] = Counter()
    for quota in (math.ceil(count / bins), count):
        for episode_id, pair in ranked:
            bin_ = _bin(pair, bins)
            own = [other.t for other_id, other in chosen if other_id == episode_id]
            is_new = len(own) < per_episode and all(abs(t - pair.t) >= max(apart, 1) for t in own)
            if is_new and filled[bin_] < quota and len(chosen) < count:
                chosen.append((episode_id, pair))
                filled[bin_] += 1
    ordered = sorted(chosen, key=lambda entry: (entry[0], entry[1].t))
    return ChosenPairs(tuple(ordered), count, len(ranked), tuple(filled[i] for i in range(bins)))


def _bin(pair: Pair, bins: int) -> int:
    return min(max(int(pair.value * bins), 0), bins - 1)
