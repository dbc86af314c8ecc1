"""The control of the closed loop: the real recoveries, triggered at random, as often as the real trigger would."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from episodes.record import ActionSource, Array
from robot_io.protocols import Decision, Monitor, Observation, Recovery, RecoveryPlan


@dataclass(slots=True, kw_only=True)
class RecoveryBudget:
    """When a trigger at random is due: one recovery in each block of 1 / `rate` steps of the policy.

    Recovery k (from 0) falls uniformly into block k, steps [k / rate, (k + 1) / rate) of the session, so that after n
    steps there were n * rate of them up to one. It is spent when a chunk was sent; where the memory knew nothing it is
    drawn again from the rest of its block, and after that it is due at once. As a draw is uniform in what is left of
    the block, one that starts anew at any step has the same distribution: an interrupted session goes on as it would.
    """

    rate: float
    """recoveries for each step of the policy"""
    seed: int
    counted_steps: int = 0
    """of the policy, in the session's recordings"""
    counted_recoveries: int = 0
    _steps: int = 0
    """those and what this episode has had so far"""
    _spent: int = 0
    _due: float = np.inf
    _asked: bool = False
    """a trigger was given, and its first chunk is not planned yet"""

    def go_on(self, steps: int, recoveries: int) -> None:
        """Begin an episode of a session that has had so many steps of the policy and recoveries."""
        self.counted_steps, self.counted_recoveries = steps, recoveries
        self._steps, self._spent, self._asked = steps, recoveries, False
        self._draw()

    def step(self) -> bool:
        """Count one step of the policy; True where a recovery is due at it."""
        self._asked = self._steps >= np.floor(self._due)
        self._steps += 1
        return self._asked

    def planned(self, found: bool) -> None:
        """Told what came of every plan; only the first one after a trigger counts."""
        if self._asked:
            self._asked = False
            self._spent += found
            self._draw()

    def _draw(self) -> None:
        if self.rate > 0:
            stop = (self._spent + 1) / self.rate
            first = max(self._spent / self.rate, self._steps)
            share = np.random.default_rng([self.seed, self._spent, self._steps]).random()
            self._due = first + share * max(stop - first, 0.0)


@dataclass(slots=True)
class RandomMonitor:
    """The control: the same value as the real one, but a trigger only where the budget says that one is due."""

    monitor: Monitor
    budget: RecoveryBudget

    def reset(self) -> None:
        self.monitor.reset()

    def update(self, observation: Observation, action: Array | None, source: ActionSource) -> Decision | None:
        seen = self.monitor.update(observation, action, source)
        if seen is None:
            return None
        trigger = source is ActionSource.POLICY and self.budget.step()
        return Decision(trigger=trigger, value=seen.value, score=float(trigger), threshold=0.5)


@dataclass(slots=True)
class BudgetedRecovery:
    """`Recovery` of the control: the released one, and the budget is told what it found."""

    recovery: Recovery
    budget: RecoveryBudget

    def reset(self) -> None:
        self.recovery.reset()

    def plan(self, observation: Observation, value: float) -> RecoveryPlan:
        plan = self.recovery.plan(observation, value)
        self.budget.planned(plan.chunk is not None and len(plan.chunk) > 0)
        return plan
