"""The guard: the last thing between a decision and the arm. Pure, ordered, and its output is what is sent.

Every guard takes the action so far and returns an action and, where it stepped in, a reason. A rejected
action becomes the hold action (no motion, the gripper as it was) and goes on through the chain, so that the
force limits hold whatever was asked for. Forces are newtons, |F| of the tared wrench.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from episodes.errors import UsageError
from episodes.record import ActionSource, Array
from robot_io.protocols import Observation, RobotSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class ForceLimits:
    """How hard the tool may press."""

    soft_n: float = 60.0
    """above this for `soft_s`, only the person may act"""
    soft_s: float = 0.5
    hard_n: float = 100.0
    """above this, motion is stopped and the episode ends as a failure"""

    def __post_init__(self) -> None:
        if not 0.0 < self.soft_n <= self.hard_n or self.soft_s < 0.0:
            raise UsageError(
                f"force limits soft {self.soft_n} N for {self.soft_s} s and hard {self.hard_n} N do not fit; "
                "give 0 < soft_n <= hard_n and soft_s >= 0"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One action on its way to the arm, and all a guard may look at."""

    observation: Observation
    source: ActionSource
    hold: Array
    """(A,) what is sent instead of a rejected action"""
    limits: Array
    """(A, 2) lowest and highest value of each action component"""
    force: ForceLimits
    over_soft_since_s: float | None
    """when |F| last rose above the soft limit; None while it is below"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What one guard, or the whole chain, made of an action."""

    action: Array
    """(A,) float64"""
    reasons: tuple[str, ...] = ()
    """why the action was changed; empty where it was not"""
    hold: bool = False
    """the action asked for was rejected"""
    stop: bool = False
    """motion has to stop now"""


Check = Callable[[Array, Request], Verdict]


def finite_and_shaped(action: Array, request: Request) -> Verdict:
    """Reject what is not `A` finite numbers; clipping would let a NaN through."""
    wanted = request.hold.shape
    if not np.issubdtype(action.dtype, np.number) or action.shape != wanted:
        return Verdict(action=request.hold, reasons=(f"action of shape {action.shape}, not {wanted}",), hold=True)
    if not np.isfinite(action).all():
        return Verdict(action=request.hold, reasons=("action is not finite",), hold=True)
    return Verdict(action=action.astype(np.float64))


def inside_limits(action: Array, request: Request) -> Verdict:
    """Clip every component to the action space."""
    clipped = np.clip(action, request.limits[:, 0], request.limits[:, 1])
    return Verdict(action=clipped, reasons=() if np.array_equal(clipped, action) else ("clipped to the action space",))


def soft_force(action: Array, request: Request) -> Verdict:
    """After too long above the soft limit only the person may act: they are the way out."""
    since, limits = request.over_soft_since_s, request.force
    if request.source is ActionSource.HUMAN or since is None:
        return Verdict(action=action)
    held_s = request.observation.time_s - since
    if held_s < limits.soft_s and math.isfinite(force_n(request.observation)):
        return Verdict(action=action)
    return Verdict(action=request.hold, reasons=(f"force not below {limits.soft_n:g} N",), hold=True)


def hard_force(action: Array, request: Request) -> Verdict:
    """Above the hard limit nobody may act."""
    now_n, limit_n = force_n(request.observation), request.force.hard_n
    if now_n > limit_n:
        reason = f"force {now_n:.0f} N above {limit_n:g} N"
        return Verdict(action=request.hold, reasons=(reason,), hold=True, stop=True)
    return Verdict(action=action)


CHAIN: tuple[Check, ...] = (finite_and_shaped, inside_limits, soft_force, hard_force)


def judge(action: Array, request: Request, chain: tuple[Check, ...] = CHAIN) -> Verdict:
    """Run the chain in order; every guard sees what the one before it let through."""
    verdict = Verdict(action=np.asarray(action))
    for check in chain:
        step = check(verdict.action, request)
        verdict = Verdict(
            action=step.action,
            reasons=verdict.reasons + step.reasons,
            hold=verdict.hold or step.hold,
            stop=verdict.stop or step.stop,
        )
    return verdict


def force_n(observation: Observation) -> float:
    """|F| in newtons; NaN where the sensor gives one."""
    return float(np.linalg.norm(observation.wrench[:3]))


def over_soft_since(since_s: float | None, observation: Observation, limits: ForceLimits) -> float | None:
    """When |F| rose above the soft limit, carried from step to step. A dead sensor counts as above."""
    if force_n(observation) <= limits.soft_n:
        return None
    return observation.time_s if since_s is None else since_s


def action_limits(spec: RobotSpec) -> Array:
    """The (A, 2) limits of a robot's action space, given there once for all components or one by one."""
    limits = np.asarray(spec.action_space.get("limits", ()), np.float64)
    size = len(spec.action_space.get("names", ()))
    if limits.shape not in ((2,), (size, 2)) or size == 0 or not (limits[..., 0] <= limits[..., 1]).all():
        raise UsageError(
            f"the action space of robot {spec.robot} has limits {limits.tolist()} for {size} names; "
            "give [low, high], or one such pair for each name"
        )
    return np.broadcast_to(limits, (size, 2))


@dataclass(slots=True)
class Guard:
    """The chain with what it must remember between steps: the last action sent and the time above the soft limit."""

    spec: RobotSpec
    force: ForceLimits = field(default_factory=ForceLimits)
    _limits: Array = field(init=False)
    _hold: Array = field(init=False)
    _since_s: float | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self._limits = action_limits(self.spec)
        self.reset()

    def reset(self) -> None:
        """Forget the episode before."""
        names = self.spec.action_space["names"]
        at_reset = float(self.spec.action_space.get("gripper_at_reset", 0.0))
        self._hold = np.array([at_reset if name == "gripper" else 0.0 for name in names])
        self._since_s = None

    @property
    def hold_action(self) -> Array:
        """(A,) no motion; a gripper target stays what it was."""
        return self._hold.copy()

    def __call__(self, action: Array, observation: Observation, source: ActionSource) -> Verdict:
        """Judge the action of this step; call once a step, also for a hold."""
        self._since_s = over_soft_since(self._since_s, observation, self.force)
        request = Request(
            observation=observation,
            source=source,
            hold=self.hold_action,
            limits=self._limits,
            force=self.force,
            over_soft_since_s=self._since_s,
        )
        return judge(action, request)

    def sent(self, executed: Array) -> None:
        """Remember what the robot did, for the gripper of the next hold."""
        for index, name in enumerate(self.spec.action_space["names"]):
            if name == "gripper":
                self._hold[index] = executed[index]
