"""What the benchmark asks of a method, and the schedule that all methods share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor

from episodes.errors import UsageError
from models.dataset import StepData
from robot_io.benchmark.record import RunRecord, TrainingEpisode
from robot_io.control import RecoveryLimits
from robot_io.protocols import Learner, Monitor, Policy, Recovery, RobotSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """How long a run is, and when it is judged."""

    steps: int = 12_000
    """of the robot while the method learns; the episode that reaches them is finished"""
    warm_up: int = 2_000
    """steps in which the cloned policy drives unchanged"""
    demonstrations: int = 20
    evaluate_every: int = 2_000
    """steps between evaluations on the way"""
    evaluation_episodes: int = 25
    test_episodes: int = 100
    """of the policy that the run ends with"""
    checkpoint_every: int = 1_000
    """steps after which a killed run goes on"""
    evaluation_seed: int = 60_000
    """first reset seed of the evaluations on the way"""
    test_seed: int = 90_000
    """first reset seed of the last evaluation; nothing is tuned on these"""

    def __post_init__(self) -> None:
        if not 0 <= self.warm_up <= self.steps or self.demonstrations < 1:
            raise UsageError(f"{self} cannot run; give 0 <= warm_up <= steps and at least one demonstration")
        if min(self.evaluate_every, self.checkpoint_every) < 1:
            raise UsageError("a run is judged and saved every so many steps; give at least 1")


SMOKE = Schedule(
    steps=1_000, warm_up=300, evaluate_every=500, evaluation_episodes=5, test_episodes=10, checkpoint_every=500
)
"""a run that shows that every part of it ran, and nothing else"""
SCHEDULES: Mapping[str, Schedule] = {
    "table": Schedule(),
    "full": Schedule(steps=25_000),
    "smoke": SMOKE,
    "images": Schedule(),
}
SHORTER: Mapping[str, int] = {"fold_towel": 8_000}
"""steps in the table of a task whose physics is ten times slower"""


def schedule(name: str, task: str) -> Schedule:
    """That of a task's runs, by the name of the schedule."""
    found = SCHEDULES[name]
    return replace(found, steps=SHORTER[task]) if name == "table" and task in SHORTER else found


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """What every method begins with."""

    spec: RobotSpec
    max_steps: int
    """of an episode"""
    demonstrations: Sequence[StepData]
    schedule: Schedule
    seed: int
    root: Path
    """the run's workspace"""
    stalled: Callable[[], bool]
    """the simulator's own word on whether the robot is stuck; a method that asks it says so in its name"""
    matched: RunRecord | None = None
    """the run of `hil_serl_regrasp` on the same task and seed, for a control that spends what that one spent"""


class Method(Protocol):
    """One way to learn. The human is no part of it and knows nothing of it."""

    @property
    def name(self) -> str: ...
    @property
    def learns(self) -> bool:
        """False where the cloned policy is all there is: no steps of training."""
        ...

    @property
    def policy(self) -> Policy:
        """Drives while the run trains."""
        ...

    @property
    def learner(self) -> Learner | None: ...
    @property
    def monitor(self) -> Monitor | None: ...
    @property
    def recovery(self) -> Recovery | None: ...
    @property
    def recovery_limits(self) -> RecoveryLimits | None: ...
    def alone(self) -> Policy:
        """The policy as it is judged: alone and without exploration."""
        ...

    def ended(self, row: TrainingEpisode) -> None:
        """Told of every episode of training once it is recorded."""
        ...

    def config(self) -> Mapping[str, Any]:
        """Every setting, as JSON."""
        ...

    def made(self) -> Mapping[str, Any]:
        """What the method made on the way that a reader of the run should know, as JSON."""
        ...

    def state(self) -> Mapping[str, Tensor]:
        """All that the rest of the run depends on, at an episode's end."""
        ...

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take up what `state` gave."""
        ...
