"""The policy alone, without exploration and without a person, on reset seeds that all methods share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from episodes.record import Outcome
from robot_io.benchmark.record import Trial
from robot_io.collect import failure_mode
from robot_io.loop import run_episode
from robot_io.protocols import EpisodeEnd, Policy, Robot, RobotSpec, Step
from robot_io.sim import SimRobot


class Unrecorded:
    """A `Recorder` that keeps nothing."""

    def start(self, spec: RobotSpec, collected_by: Mapping[str, Any]) -> None:
        """Nothing to begin."""

    def step(self, step: Step) -> None:
        """Let it go."""

    def event(self, t: int, kind: str, **detail: Any) -> None:
        """Let it go."""

    def finish(self, end: EpisodeEnd) -> str:
        """No episode, so no id."""
        return ""

    def discard(self) -> None:
        """Nothing to discard."""


def evaluate(
    robot: SimRobot, seen: Robot, policy: Policy, reset_seeds: Iterable[int], *, step: int, test: bool = False
) -> Iterator[Trial]:
    """One trial for each reset seed, of the policy that `step` steps of training made, which sees `robot` as `seen`."""
    for reset_seed in reset_seeds:
        yield _trial(robot, seen, policy, reset_seed, step, test)


def _trial(robot: SimRobot, seen: Robot, policy: Policy, reset_seed: int, step: int, test: bool) -> Trial:
    summary = run_episode(
        seen,
        policy,
        Unrecorded(),
        max_steps=robot.max_steps,
        collection="rollout",
        seed=reset_seed,
        timeout_outcome=Outcome.FAILURE,
    )
    return Trial(
        step=step,
        test=test,
        reset_seed=reset_seed,
        success=summary.success is Outcome.SUCCESS,
        steps=summary.steps,
        failure_mode=failure_mode(robot, summary),
    )
