"""A release on a robot, as the loop's Protocols: policy, monitor, recovery."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from episodes.errors import DataRefused, IntegrityError
from episodes.record import ActionSource, Array
from models.checkpoint import model_hash
from models.curve import MAX_GAP_S
from models.dataset import resized
from models.intervention import InterventionModel
from models.memory import RecoveryMemory, Retrieved
from models.monitoring import MonitorStream
from models.policy import BehaviourPolicy
from models.recall import SituationEncoder, recall
from models.recovery import RecoveryPolicy
from models.recovery_heads import HeadPolicy, load_recovery_policy
from models.trigger import Trigger
from models.value import ValueModel
from robot_io.control import RecoveryLimits
from robot_io.protocols import Decision, Monitor, Observation, Recovery, RecoveryPlan, RobotSpec
from robot_io.random_trigger import BudgetedRecovery, RandomMonitor, RecoveryBudget

FOLLOWING_S = 1.0
"""a chunk planned this soon after the last one belongs to the same rescue"""
STEPS = 2
"""of a chunk that are sent before the next is planned: in contact, eight steps without looking miss"""
LIMITS = RecoveryLimits(seconds=8.0, min_gain=0.02, regain=0.9)
"""a rescue first lifts, which is worth less; and where little is regained the policy is soon stuck again"""


@dataclass(slots=True)
class DeployedPolicy:
    """`Policy` over a base policy; `policy_id` is written into every step it acts."""

    policy: BehaviourPolicy
    policy_id: str

    def reset(self) -> None:
        """Nothing to forget: one observation, one action."""

    def act(self, observation: Observation) -> Array:
        return self.policy.act(observation.proprio)


class ReleaseMonitor:
    """`Monitor` over the released value, intervention model and trigger.

    `DataRefused` where the robot lacks a camera or a proprio value that they read, or runs at another rate.
    """

    def __init__(self, model: ValueModel, intervention: InterventionModel, trigger: Trigger, spec: RobotSpec) -> None:
        self.cameras, self._image_px = model.config.cameras, model.config.image_px
        missing = [name for name in self.cameras if name not in spec.cameras]
        if missing:
            raise DataRefused(f"{spec.robot} has no camera {missing[0]}, which the value model reads; add it")
        if spec.fps != model.fps:
            raise DataRefused(
                f"{spec.robot} runs at {spec.fps:g} Hz and the value model was trained at {model.fps:g} Hz; train one "
                "on episodes of this rate"
            )
        self.threshold = trigger.early_threshold
        self._actions = intervention.action_size
        self._stream = MonitorStream(model, intervention, trigger, spec.proprio_names)
        self._seen_s = 0.0

    def reset(self) -> None:
        self._stream.reset()

    def update(self, observation: Observation, action: Array | None, source: ActionSource) -> Decision:
        if observation.time_s - self._seen_s > MAX_GAP_S:
            self._stream.reset()
        self._seen_s = observation.time_s
        images = [resized(observation.images[name], self._image_px) for name in self.cameras]
        step = self._stream.update(
            observation.proprio,
            np.stack(images) if images else None,
            observation.ee_pose[:3],
            float(np.linalg.norm(np.asarray(observation.wrench[:3], float))),
            np.zeros(self._actions) if action is None else action,
        )
        return Decision(
            trigger=step.trigger,
            value=step.value,
            score=step.score,
            threshold=self.threshold,
            detail={"trigger_probability": step.trigger_probability},
        )


@dataclass(slots=True)
class ReleaseRecovery:
    """`Recovery` over the released memory and recovery policy.

    A goal is pursued until it is as good as reached or the rescue ends; where memory then knows no better one, the last
    is kept.
    """

    memory: RecoveryMemory
    encoder: SituationEncoder
    policy: RecoveryPolicy | HeadPolicy
    _pursued: Retrieved | None = None
    _planned_s: float = -np.inf
    """when the last chunk was planned"""

    def reset(self) -> None:
        """A new episode pursues nothing."""
        self._pursued, self._planned_s = None, -np.inf

    def plan(self, observation: Observation, value: float) -> RecoveryPlan:
        if observation.time_s - self._planned_s > FOLLOWING_S:
            self._pursued = None
        self._planned_s = observation.time_s
        found = self._goal(observation, value)
        if found is None:
            return RecoveryPlan(
                chunk=None, similarity=-1.0, goal_value=value, reason="no better state in memory is similar enough"
            )
        self._pursued = found
        chunk = self.policy.chunk(self.policy.situation(observation.proprio), found.item.goal)
        return RecoveryPlan(
            chunk=chunk[:STEPS], similarity=found.similarity, goal_value=found.item.goal_value, item=found.item.item_id
        )

    def _goal(self, observation: Observation, value: float) -> Retrieved | None:
        last = self._pursued
        if last is not None and value < last.item.goal_value - self.encoder.margin:
            return last
        return recall(self.memory, self.encoder, observation.proprio, value, self.policy.task) or last


@dataclass(slots=True)
class Deployment:
    """Everything a release brings to the loop."""

    policy: DeployedPolicy
    monitor: Monitor
    recovery: Recovery

    def at_random(self, budget: RecoveryBudget) -> Deployment:
        """The control: the same policy and recoveries, the trigger at random."""
        return Deployment(self.policy, RandomMonitor(self.monitor, budget), BudgetedRecovery(self.recovery, budget))


def load_deployment(parts: Mapping[str, Path], spec: RobotSpec) -> Deployment:
    """Load the directories `policy value trigger memory recovery` of a verified release for a robot.

    `IntegrityError` where the trigger was calibrated on other models; `DataRefused` where one reads another robot.
    """
    monitor = load_monitor(parts, spec)
    policy = load_policy(parts["policy"])
    _check_reads("policy", policy.policy.proprio_names, spec)
    return Deployment(policy, monitor, load_recovery(parts, spec))


def load_monitor(parts: Mapping[str, Path], spec: RobotSpec) -> ReleaseMonitor:
    """Of the directories `value trigger`: what notices that a policy is stuck."""
    value, trigger = ValueModel.load(parts["value"]), Trigger.load(parts["trigger"])
    for name, bound in (("value", trigger.value_hash), ("trigger", trigger.intervention_hash)):
        if model_hash(parts[name]) != bound:
            raise IntegrityError(
                f"the trigger was calibrated on another {name} model ({bound}); build the release again"
            )
    return ReleaseMonitor(value, InterventionModel.load(parts["trigger"]), trigger, spec)


def load_recovery(parts: Mapping[str, Path], spec: RobotSpec) -> ReleaseRecovery:
    """Of the directories `memory recovery`: what gets the robot out of it."""
    encoder, policy = SituationEncoder.load(parts["memory"]), load_recovery_policy(parts["recovery"])
    _check_reads("memory", encoder.proprio_names, spec)
    _check_reads("recovery", policy.proprio_names, spec)
    return ReleaseRecovery(RecoveryMemory.load(parts["memory"], encoder.encoder_id), encoder, policy)


def _check_reads(name: str, columns: tuple[str, ...], spec: RobotSpec) -> None:
    if columns != spec.proprio_names:
        raise DataRefused(f"the {name} of this release reads not what {spec.robot} measures; train one for it")


def load_policy(directory: Path) -> DeployedPolicy:
    """A base policy alone, named by the hash of its files."""
    return DeployedPolicy(BehaviourPolicy.load(directory), f"bc-{model_hash(directory)}")
