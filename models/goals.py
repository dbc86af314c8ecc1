"""What makes a pair of moments a valid recovery target, and by what name each other one is refused.

A pair lies in one rollout, the goal later than the key (`models.pairs`). It is refused where V gains too little, the
goal is worth too little, the tool moves further than a recovery may, or the gripper opens or closes in between. Whole
episodes are refused too: those of a held-out split, and those that did not succeed; what worked in one of these, a
takeover or a recovery after which V was up and stayed up, is a rescue and may be remembered.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Mapping, Sequence

import numpy as np

from episodes.record import ActionSource, Array
from models.dataset import StepData
from models.pairs import Pair

GRIPPER = "gripper/opening"
"""proprio column, if the robot has it"""
GRIPPER_MOVED = 0.25
"""change of the opening, of its range in the episode, from which it counts as opened or closed"""
REGAINED, HELD = 0.1, 3
"""V up by that much, for that many steps: what a recovery that worked has reached"""


def refusal(
    pair: Pair,
    episode: StepData,
    *,
    gain: float,
    end_value: float,
    max_distance_m: float | None,
    same_gripper: bool,
) -> str | None:
    """Why a pair is no recovery target; None where it is one."""
    if pair.gain < gain:
        return f"gain below {gain:g}"
    if pair.goal_value < end_value:
        return f"goal worth less than {end_value:g}"
    moved_m = np.linalg.norm(np.asarray(episode.ee_pose[pair.goal_t, :3] - episode.ee_pose[pair.t, :3], float))
    if max_distance_m is not None and moved_m > max_distance_m:
        return f"goal further than {max_distance_m:g} m away"
    if same_gripper and _gripper_moves(episode, pair):
        return "gripper opens or closes on the way"
    return None


def _gripper_moves(episode: StepData, pair: Pair) -> bool:
    if GRIPPER not in episode.proprio_names:
        return False
    opening = episode.proprio[:, episode.proprio_names.index(GRIPPER)]
    whole = float(np.ptp(opening))
    return bool(whole) and abs(float(opening[pair.goal_t] - opening[pair.t])) > GRIPPER_MOVED * whole


def rescues(episode: StepData, values: Array) -> list[tuple[int, int]]:
    """The stretches [start, stop) in which a person or a recovery took over from the policy and V was regained."""
    helped = [run for run in episode.runs if run[0] and episode.source[run[0]] in _HELPERS]
    return [(start, stop) for start, stop in helped if regained_at(values[start:stop]) is not None]


_HELPERS = (ActionSource.HUMAN, ActionSource.RECOVERY)


def regained_at(values: Array) -> int | None:
    """The first step of (T,) V from which it is `REGAINED` above the first one for `HELD` steps; None without one."""
    better = values >= values[0] + REGAINED
    return next((t for t in range(len(better) - HELD + 1) if better[t : t + HELD].all()), None)


def episode_refusals(
    episodes: Sequence[StepData], known: Mapping[str, object], rescued: Container[str] = ()
) -> Counter[str]:
    """How many episodes are not looked at, by reason; `known` are those with a value curve, `rescued` looked at all
    the same."""
    reasons: Counter[str] = Counter()
    for episode in episodes:
        if episode.split != "train":
            reasons[f"episode of the split {episode.split}"] += 1
        elif not episode.success and episode.episode_id not in rescued:
            reasons["episode that failed" if episode.success is False else "episode of unknown outcome"] += 1
        elif episode.episode_id not in known:
            reasons["episode without a value curve"] += 1
    return reasons
