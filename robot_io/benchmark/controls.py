"""The controls of `hil_serl_regrasp`: each is that very method with one part taken out.

`random`       recovers at random times, as often in each round as the matching run of `hil_serl_regrasp` did
`sham`         is triggered like it, but the policy goes on driving while the person's clock is suspended
`no_recovery`  is triggered like it, and asks the person at once
`oracle`       recovers like it, when the simulator itself says that the robot is stuck
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from episodes.errors import UsageError
from episodes.record import ActionSource, Array
from robot_io.benchmark.method import Start
from robot_io.benchmark.record import RunRecord, TrainingEpisode
from robot_io.benchmark.regrasp import HilSerlRegrasp, RegraspConfig
from robot_io.protocols import Decision, Monitor, Observation, Policy, Recovery, RecoveryPlan
from robot_io.random_trigger import BudgetedRecovery, RandomMonitor, RecoveryBudget


class RandomTrigger(HilSerlRegrasp):
    """`random`: equal recovery budget, round by round."""

    name = "random"

    def __init__(self, start: Start, config: RegraspConfig | None = None) -> None:
        if start.matched is None:
            raise UsageError(
                f"random spends what hil_serl_regrasp spent on {start.spec.task} with seed {start.seed}, which is not "
                "run yet; run that first, or both together"
            )
        self._rates = recovery_rates(start.matched)
        self._budget = RecoveryBudget(rate=0.0, seed=start.seed)
        super().__init__(start, config)

    def ended(self, row: TrainingEpisode) -> None:
        """Between two episodes the budget stands where their record says."""
        budget = self._budget
        steps = budget.counted_steps + row.policy_steps + row.recoveries
        budget.go_on(steps, budget.counted_recoveries + row.recoveries)
        super().ended(row)

    def state(self) -> Mapping[str, Tensor]:
        spent = torch.tensor([self._budget.counted_steps, self._budget.counted_recoveries])
        return {**super().state(), "spent": spent}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        super().restore(tensors)
        self._budget.go_on(*(int(count) for count in tensors["spent"]))

    def _armed(self, monitor: Monitor, recovery: Recovery) -> tuple[Monitor, Recovery]:
        """A new round has a rate of its own and begins to count anew."""
        number = len(self._rounds) - 1
        rate = self._rates[number] if number < len(self._rates) else 0.0
        self._budget = RecoveryBudget(rate=rate, seed=1_000 * self._start.seed + number)
        self._budget.go_on(0, 0)
        return RandomMonitor(monitor, self._budget), BudgetedRecovery(recovery, self._budget)


def recovery_rates(run: RunRecord) -> list[float]:
    """Recoveries for each step at which the policy might have been stopped, by round."""
    starts = [int(told["from_step"]) for told in run.made["rounds"]]
    rates = []
    for first, stop in pairwise([*starts, np.inf]):
        rows = [r for r in run.training if first <= r.first_step < stop]
        recoveries = sum(row.recoveries for row in rows)
        asked = sum(row.policy_steps for row in rows) + recoveries
        rates.append(recoveries / asked if asked else 0.0)
    return rates


class Sham(HilSerlRegrasp):
    """`sham`: what the person's patience alone is worth. Its recovery steps are the policy's own."""

    name = "sham"

    def _armed(self, monitor: Monitor, recovery: Recovery) -> tuple[Monitor, Recovery]:
        return monitor, _GoesOn(self.policy)


class NoRecovery(HilSerlRegrasp):
    """`no_recovery`: what noticing alone is worth."""

    name = "no_recovery"

    def _armed(self, monitor: Monitor, recovery: Recovery) -> tuple[Monitor, Recovery]:
        return monitor, _Asks()


class Oracle(HilSerlRegrasp):
    """`oracle`: what a perfect trigger would be worth with these recoveries."""

    name = "oracle"

    def _armed(self, monitor: Monitor, recovery: Recovery) -> tuple[Monitor, Recovery]:
        return _Knows(monitor, self._start), recovery


@dataclass(slots=True)
class _GoesOn:
    """A `Recovery` of one step at a time, each the policy's."""

    policy: Policy

    def reset(self) -> None:
        """Nothing to forget."""

    def plan(self, observation: Observation, value: float) -> RecoveryPlan:
        action = self.policy.act(observation)
        return RecoveryPlan(chunk=None if action is None else action[None], similarity=1.0, goal_value=value)


class _Asks:
    """A `Recovery` that knows nothing."""

    def reset(self) -> None:
        """Nothing to forget."""

    def plan(self, observation: Observation, value: float) -> RecoveryPlan:
        return RecoveryPlan(chunk=None, similarity=-1.0, goal_value=value, reason="the trigger fired")


@dataclass(slots=True)
class _Knows:
    """The value of a real monitor, and a trigger when the simulator says so."""

    monitor: Monitor
    start: Start

    def reset(self) -> None:
        self.monitor.reset()

    def update(self, observation: Observation, action: Array | None, source: ActionSource) -> Decision | None:
        seen = self.monitor.update(observation, action, source)
        stalled = self.start.stalled()
        return seen and replace(seen, trigger=stalled, score=float(stalled), threshold=0.5)
