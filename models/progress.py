"""What the value model is taught: the progress of each step, between 0 and 1.

    p_t = t / (T - 1)   in a success;   0 in a failure;   unknown (NaN) where the outcome is unknown

The plain form is the one of the UniIntervene release. It also teaches elapsed time: the seconds a robot was stuck, or
a person drove it, count as progress. `takeover_progress` is the form for episodes in which control changed hands.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from episodes.errors import DataRefused
from episodes.record import ActionSource
from models.curve import Curve, Flags, as_source, control_runs


def progress_targets(length: int, success: bool | None) -> Curve:
    """(T,) float64: `t/(T-1)` for a success (1.0 for one step), zeros for a failure, NaN for an unknown outcome.

    DataRefused where `length` is not a positive integer or `success` is not True, False or None.
    """
    if isinstance(length, bool) or not isinstance(length, int | np.integer) or length < 1:
        raise DataRefused(f"an episode of {length!r} steps has no progress; pass its number of steps, at least 1")
    return _scaled(np.arange(length), success)


class TakeoverProgress(NamedTuple):
    """Targets of an episode in which control changed hands, and how much each step counts in the loss."""

    targets: Curve
    """(T,) in [0, 1], NaN for an unknown outcome"""
    weights: Curve
    """(T,) 0.0 where the clock stands still, 1.0 elsewhere"""


def takeover_progress(
    source: npt.ArrayLike, success: bool | None = True, *, stall_starts: Sequence[int] = ()
) -> TakeoverProgress:
    """Progress on a clock that stands still while a person drives, the robot holds or it is stuck before a takeover.

    `source` (T,) are `ActionSource` codes; each of `stall_starts` is the first step of a stall, which lasts until the
    next HUMAN step (a stall that no takeover ended stays as it is). An episode with one source keeps `t/(T-1)`.
    The steps where the clock stands carry its last reading with weight 0. HUMAN steps after the last step of the
    robot count: there the person did the rest of the task, and no other clock measures it.
    DataRefused on an unknown source code or a stall outside the episode.
    """
    codes = as_source(source)
    length = len(codes)
    if not length:
        raise DataRefused("an episode of 0 steps has no progress; pass the action source of each step")
    if len(np.unique(codes)) == 1:
        return TakeoverProgress(progress_targets(length, success), np.ones(length))
    counts = _by_robot_or_finisher(codes) & ~_stalled(codes, stall_starts)
    clock = np.maximum(np.cumsum(counts) - 1, 0)
    return TakeoverProgress(_scaled(clock, success), counts.astype(np.float64))


def assumed_stalls(source: npt.ArrayLike, steps: int) -> tuple[int, ...]:
    """Where a stall began before each takeover if nothing better is known: `steps` earlier, in the robot's turn.

    A takeover is a HUMAN step right after a POLICY or RECOVERY run, or after the HOLD that such a run ended in. Before
    there is a value model there are no mined stalls; a person takes over because the robot has been stuck for a while.
    """
    codes = as_source(source)
    starts, turn = [], None
    for start, stop in control_runs(codes, length=len(codes)):
        if codes[start] in (ActionSource.POLICY, ActionSource.RECOVERY):
            turn = (start, stop) if turn is None else (turn[0], stop)
        elif codes[start] == ActionSource.HUMAN and turn is not None:
            starts.append(max(turn[0], turn[1] - steps))
        if codes[start] not in (ActionSource.POLICY, ActionSource.RECOVERY, ActionSource.HOLD):
            turn = None
    return tuple(starts)


def _scaled(clock: npt.NDArray[np.int64], success: bool | None) -> Curve:
    if success is None:
        return np.full(len(clock), np.nan)
    if not isinstance(success, bool | np.bool_):
        raise DataRefused(f"success is {success!r}; pass True, False or None, as Outcome.as_bool() returns")
    if not success:
        return np.zeros(len(clock))
    last = clock[-1]
    return clock / last if last else np.ones(len(clock))


def _by_robot_or_finisher(codes: npt.NDArray[np.uint8]) -> Flags:
    robot: Flags = ~np.isin(codes, (ActionSource.HUMAN, ActionSource.HOLD))
    last_robot = int(np.flatnonzero(robot)[-1]) if robot.any() else -1
    finisher: Flags = (codes == ActionSource.HUMAN) & (np.arange(len(codes)) > last_robot)
    return robot | finisher


def _stalled(codes: npt.NDArray[np.uint8], stall_starts: Sequence[int]) -> Flags:
    stalled = np.zeros(len(codes), dtype=bool)
    for start in stall_starts:
        if not 0 <= start < len(codes):
            raise DataRefused(f"a stall starts at step {start} of {len(codes)}; pass steps of this episode")
        takeovers = np.flatnonzero(codes[start:] == ActionSource.HUMAN)
        if takeovers.size:
            stalled[start : start + int(takeovers[0])] = True
    return stalled
