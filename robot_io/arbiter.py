"""Who acts at this step: a pure function of where the run stands and what was just seen.

The person always wins. A recovery chunk runs to its end, then either the value is better than when the
monitor fired (hand back to the policy), or the next chunk is planned, or the person is asked.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Mode(Enum):
    """Who was in charge when the step began."""

    POLICY = "policy"
    RECOVERY = "recovery"
    HUMAN = "human"
    ASKING = "asking"
    """the robot holds and waits for the person it asked"""


class Act(Enum):
    """What to do at this step."""

    HUMAN = "human"
    """send what the person gives; drop whatever else was running"""
    POLICY = "policy"
    PLAN = "plan"
    """retrieve a better state and start the chunk towards it"""
    CONTINUE = "continue"
    """send the next action of the running chunk"""
    HAND_BACK = "hand back"
    """the recovery reached a better value: the policy acts again"""
    GIVE_UP = "give up"
    """the recovery did not help: hold and ask the person"""
    HOLD = "hold"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What decides a step; the fields about a recovery matter only in `Mode.RECOVERY`."""

    human: bool = False
    """the person gives an action"""
    trigger: bool = False
    """the monitor says the robot is stuck, and there is a recovery to run"""
    chunk_left: bool = False
    """actions of the running chunk are not sent yet"""
    better: bool = False
    """the value is better than when the monitor fired"""
    in_time: bool = False
    """the time allowed without a better value is not over"""


def arbitrate(mode: Mode, seen: Seen) -> Act:
    """The act of this step. Total over all modes and all combinations of `seen`."""
    if seen.human:
        return Act.HUMAN
    if mode is Mode.ASKING:
        return Act.HOLD
    if mode is Mode.RECOVERY:
        return _recover(seen)
    return Act.PLAN if seen.trigger else Act.POLICY


def _recover(seen: Seen) -> Act:
    if seen.chunk_left and seen.in_time:
        return Act.CONTINUE
    if seen.better:
        return Act.HAND_BACK
    return Act.PLAN if seen.in_time else Act.GIVE_UP
