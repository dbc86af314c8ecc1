"""What driver and worker tell each other: a state a cycle, a command a step, each one row of a ring.

Poses, velocities and forces are in the task's axes (`frames`); joints are the arm's. Units: rad, m, s, N, Nm.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import IntEnum
from typing import Any, TypeVar

import numpy as np

from episodes.record import Array

VECTOR = 6


class Order(IntEnum):
    """What the driver wants of the worker."""

    HOLD = 0
    """stand where the tool is"""
    FOLLOW = 1
    """pull the tool to the command's target"""
    LEAVE = 2
    """stop the arm and end"""


class Phase(IntEnum):
    """What the worker does."""

    STARTING = 0
    HOLDING = 1
    FOLLOWING = 2
    STALE = 3
    """nothing new from the robot or from the driver: it holds"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One step's order."""

    sent_s: float
    """by the controller's clock, as the driver saw it last"""
    order: Order = Order.HOLD
    over_s: float = 0.0
    """from when it came, the time in which the tool is pulled there evenly; controller seconds"""
    target: Array
    """(6,) tool pose"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmState:
    """One cycle, as the worker saw it."""

    read_s: float
    """monotonic"""
    controller_s: float
    """the controller's own clock"""
    phase: Phase
    robot_mode: int
    safety_mode: int
    runtime: int
    speed_scaling: float
    command_count: int
    """how many commands the worker had seen"""
    late_s: float
    """how late this cycle began"""
    stepped_in: int
    """the first check of the gate that did (`gate.Step`), 0 for none"""
    q: Array
    qd: Array
    pose: Array
    """(6,) measured tool pose"""
    velocity: Array
    force: Array
    """(6,) the world's on the tool, tared"""
    commanded: Array
    """(6,) tool pose sent"""


Message = TypeVar("Message", Command, ArmState)


def columns(kind: type[Message]) -> int:
    """Numbers in a row of this message."""
    return sum(VECTOR if field.type == "Array" else 1 for field in fields(kind))


def to_row(message: Command | ArmState) -> Array:
    """Message -> (columns,) float64."""
    return np.concatenate([np.atleast_1d(np.asarray(getattr(message, f.name), float)) for f in fields(message)])


def from_row(kind: type[Message], row: Array) -> Message:
    """(columns,) -> message."""
    made: dict[str, Any] = {}
    at = 0
    enums = {"Order": Order, "Phase": Phase, "int": int, "float": float}
    for field in fields(kind):
        size = VECTOR if field.type == "Array" else 1
        piece = row[at : at + size]
        made[field.name] = piece.copy() if size > 1 else enums[str(field.type)](piece[0])
        at += size
    return kind(**made)
