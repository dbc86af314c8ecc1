"""The one scripted human, the same for every method. It knows the task and never who is driving, nor why.

What it does, fixed before any method was run (all times at the 10 Hz of the loop):

* takes over when the task has not progressed for 3.0 s, when |F| > 60 N for 0.5 s, when the tool leans on the wall
  of its workspace, or when the object was dropped;
* sees an event with probability 0.95 (a missed one comes again after another window), and then needs a reaction
  delay, lognormal with median 0.6 s and log-sd 0.25;
* drives the task's expert at most at 70 % of full speed, with Ornstein-Uhlenbeck noise, and begins with a wrong move
  in 15 % of the takeovers;
* hands back when at least half of what remained has been regained and that has held for 0.5 s; never before
  0.8 s, always after 6 s.

A recovery in progress suspends the 3.0 s for at most its own 8 steps, then the clock goes on. `ask` makes it take
over after its reaction delay. In demo mode it drives from the start and never hands back.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from episodes.record import ActionSource, Array
from robot_io.protocols import HumanInput, Observation
from robot_io.sim.arm import FPS_HZ
from robot_io.sim.robot import Privileged
from robot_io.sim.stall import HELP_STEPS, StallWatch

FORCE_LIMIT_N = 60.0
FORCE_STEPS = 5
ATTENTION = 0.95
DELAY_MEDIAN_S = 0.6
DELAY_LOG_SD = 0.25
SUSPENDED_STEPS = 8
SPEED = 0.7
NOISE_FREE = 0.2
NOISE_NEAR = 0.02
NOISE_DECAY = 0.7
"""share of the Ornstein-Uhlenbeck noise kept from one step to the next"""
WRONG_MOVE = 0.15
WRONG_STEPS = 3
REGAIN = 0.5
STABLE_STEPS = 5
MIN_STEPS = 8
MAX_STEPS = 60


class Scene(Protocol):
    """What a person sees of a task; each question is about the arm it is given."""

    @property
    def phi_resolution(self) -> float: ...
    def carried(self, arm: Any) -> bool: ...
    def lying(self, arm: Any) -> bool: ...
    def near_contact(self, arm: Any) -> bool: ...
    def expert(self, arm: Any) -> Array: ...


class Reaching(Protocol):
    """What a person sees of an arm."""

    def at_wall(self) -> bool: ...


class Watched(Protocol):
    """A robot that the person can watch: the simulated one, or its twin behind a controller."""

    @property
    def task(self) -> Scene: ...
    @property
    def arm(self) -> Reaching: ...
    @property
    def privileged(self) -> Privileged: ...


@dataclass(slots=True)
class _Driving:
    """One takeover while it lasts."""

    reason: str
    regained_at: float
    """potential at which the task is handed back"""
    steps: int = 0
    stable: int = 0
    wrong: Array | None = None


class ScriptedHuman:
    """Implements `Teleop` on a robot it can watch; equal seeds give an equal human."""

    def __init__(
        self,
        robot: Watched,
        seed: int = 0,
        *,
        demo: bool = False,
        window_s: float = HELP_STEPS / FPS_HZ,
        delay_s: float = DELAY_MEDIAN_S,
        attention: float = ATTENTION,
    ) -> None:
        """Another patience, reaction (the median) or attention is another person: never one of the table's."""
        self._robot, self._seed, self._demo = robot, seed, demo
        self._window_steps, self._delay_s, self._attention = round(window_s * FPS_HZ), delay_s, attention
        self._stall = StallWatch(self._window_steps, robot.task.phi_resolution)
        self.reset(0)

    def reset(self, seed: int) -> None:
        """A new episode."""
        self._random = np.random.default_rng([self._seed, seed])
        self._noise = np.zeros(6)
        self._pushing: deque[bool] = deque(maxlen=FORCE_STEPS)
        self._asked = ""
        self._recovering = 0
        self._watch_again()
        self._driving = self._begin("demo") if self._demo else None

    def ask(self, reason: str) -> None:
        """The robot asks for help: heard at once, answered after the reaction delay."""
        self._asked = reason

    def poll(self, observation: Observation, last_source: ActionSource) -> HumanInput:
        """Called before every step; an action means that the person drives this step."""
        if self._driving is not None and self._done(self._driving):
            self._driving = None
            self._watch_again()
        if self._driving is None:
            reason = self._decide(observation, last_source)
            self._driving = self._begin(reason) if reason else None
        return self._drive(self._driving) if self._driving else HumanInput()

    def _watch_again(self) -> None:
        """Every clock starts anew."""
        self._stall.reset()
        self._pushing.clear()
        self._carried = False
        self._pending, self._wait, self._blind = "", 0, 0

    def _decide(self, observation: Observation, last_source: ActionSource) -> str:
        """The reason to take over now, or an empty string."""
        suspended = self._suspends(last_source)
        event = self._event(observation, suspended)
        if self._pending and self._pending != "asked" and not event:
            self._pending = ""
        if not self._pending and event:
            self._notice(event)
        if self._pending and not suspended:
            self._wait -= 1
        return self._pending if self._pending and self._wait < 0 else ""

    def _suspends(self, last_source: ActionSource) -> bool:
        """A recovery has the first 8 of its steps for itself."""
        self._recovering = self._recovering + 1 if last_source is ActionSource.RECOVERY else 0
        return 0 < self._recovering <= SUSPENDED_STEPS

    def _event(self, observation: Observation, suspended: bool) -> str:
        """What a watching person would react to at this step."""
        stuck = self._stall.update(self._robot.privileged.phi, suspended=suspended)
        self._pushing.append(float(np.linalg.norm(observation.wrench[:3])) > FORCE_LIMIT_N)
        self._blind = max(self._blind - 1, 0)
        if self._asked:
            return "asked"
        if self._fell():
            return "drop"
        if sum(self._pushing) == FORCE_STEPS:
            return "force"
        if self._robot.arm.at_wall():
            return "workspace"
        return "stall" if stuck and not suspended else ""

    def _fell(self) -> bool:
        """It was carried, and now it lies where it does not belong."""
        task, arm = self._robot.task, self._robot.arm
        self._carried = self._carried or task.carried(arm)
        return self._carried and task.lying(arm)

    def _notice(self, event: str) -> None:
        """Attention, then the reaction delay; a call for help cannot be missed."""
        if self._blind:
            return
        if event != "asked" and self._random.random() > self._attention:
            self._blind = self._window_steps
            return
        delay_s = self._delay_s * np.exp(DELAY_LOG_SD * self._random.standard_normal())
        self._pending, self._wait = event, round(delay_s * FPS_HZ)

    def _begin(self, reason: str) -> _Driving:
        phi = self._robot.privileged.phi
        self._asked = ""
        self._noise = np.zeros(6)
        driving = _Driving(reason=reason, regained_at=phi * (1.0 - REGAIN))
        if reason != "demo" and self._random.random() < WRONG_MOVE:
            driving.wrong = np.append(self._random.uniform(-SPEED, SPEED, 3), np.zeros(3))
        return driving

    def _done(self, driving: _Driving) -> bool:
        if driving.reason == "demo":
            return False
        driving.stable = driving.stable + 1 if self._robot.privileged.phi >= driving.regained_at else 0
        enough = driving.steps >= MIN_STEPS and driving.stable >= STABLE_STEPS
        return enough or driving.steps >= MAX_STEPS

    def _drive(self, driving: _Driving) -> HumanInput:
        """The expert through an unsteady hand."""
        task, arm = self._robot.task, self._robot.arm
        action = task.expert(arm)
        if driving.wrong is not None and driving.steps < WRONG_STEPS:
            action[:6] = driving.wrong
        spread = NOISE_NEAR if task.near_contact(arm) else NOISE_FREE
        kick = self._random.standard_normal(6) * np.sqrt(1.0 - NOISE_DECAY**2)
        self._noise = NOISE_DECAY * self._noise + kick
        action[:6] = np.clip(action[:6] + spread * self._noise, -SPEED, SPEED)
        driving.steps += 1
        return HumanInput(action=action.astype(np.float32), raw=action[:6].astype(np.float32), reason=driving.reason)
