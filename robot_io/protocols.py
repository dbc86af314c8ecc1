"""What the loop knows of the world: small Protocols and the values that cross them.

Shapes: `P` proprioceptive values, `A` = 7 action values (dx dy dz rx ry rz gripper, each in -1..1),
`H` = 8 steps of an action chunk. Times are seconds since the episode's start.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from episodes.record import ActionSource, Array, Collection, EndReason, Episode, Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class RobotSpec:
    """What a robot says about itself before it moves; written into every episode."""

    robot: str
    task: str
    instruction: str
    fps: float
    proprio_names: tuple[str, ...]
    proprio_units: tuple[str, ...]
    cameras: tuple[str, ...]
    image_px: int
    action_space: Mapping[str, Any]
    """names, units, frame, limits, `locked` (indices the robot ignores), `gripper_at_reset` (what a hold sends before
    anything else was sent)"""
    wrench_attrs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """Everything sensed at one step."""

    time_s: float
    ee_pose: Array
    """(7,) float64"""
    proprio: Array
    """(P,) float32"""
    wrench: Array
    """(6,) float32"""
    images: Mapping[str, Array]
    """camera -> (H, W, 3) uint8 RGB"""
    outcome: Outcome = Outcome.UNKNOWN
    """what the cell's own success predicate says; unknown while the episode goes on"""
    stream: Mapping[str, Array] = field(default_factory=dict)
    """the robot at its own rate since the observation before: `t` (N,) seconds since the start, the rest (N, ...)"""


@dataclass(frozen=True, slots=True, kw_only=True)
class HumanInput:
    """What the person did at this step."""

    action: Array | None = None
    """(A,) while the person drives, else None"""
    raw: Array | None = None
    """the device's own axes"""
    reason: str = ""
    """why they took over: stall, force, workspace, drop, asked, demo; hand where they did not say"""
    outcome: Outcome | None = None
    """a success or failure key"""
    discard: bool = False
    note: str = ""
    reward: float = 0.0
    """of the reward keys at this step"""
    share: float = 1.0
    """of a model's motion that is let through; it grows from 0 after they let go"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What the monitor says after a step."""

    trigger: bool
    value: float
    score: float
    threshold: float
    detail: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryPlan:
    """A retrieved target and the chunk towards it; `chunk` None means: ask the human (`reason` says why)."""

    chunk: Array | None
    """(H, A)"""
    similarity: float
    goal_value: float
    item: str = ""
    """the memory entry retrieved: "<episode_id>:<t>" """
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One recorded step: what was seen, what each actor wanted, what was sent."""

    observation: Observation
    source: ActionSource
    policy_action: Array | None
    human_action: Array | None
    executed_action: Array
    policy_id: str
    raw_action: Array | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EpisodeEnd:
    """How an episode ended, for the recorder."""

    end_reason: EndReason
    success: Outcome
    success_derivation: str
    collection: Collection
    terminal: bool
    complete: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class EpisodeSummary:
    """What happened, in numbers. `episode_id` is None where nothing was kept."""

    episode_id: str | None
    steps: int
    duration_s: float
    end_reason: EndReason
    success: Outcome
    success_derivation: str
    source_steps: Mapping[ActionSource, int]
    """how many steps each source acted; sums to `steps`"""
    takeovers: int
    triggers: int
    recoveries: int
    """triggers after which a chunk was sent"""
    recoveries_better: int
    """recoveries that reached a better value"""
    asked: int
    """times the robot asked the person"""
    fault: str = ""


class Robot(Protocol):
    """An arm with its gripper and cell. `send` returns the action actually executed, after its own limits."""

    @property
    def spec(self) -> RobotSpec: ...
    def reset(self, seed: int) -> Observation: ...
    def observe(self) -> Observation: ...
    def send(self, action: Array) -> Array: ...
    def stop(self) -> None: ...


class Camera(Protocol):
    """A camera that always gives its newest frame and says how old it is."""

    name: str

    def latest(self) -> tuple[Array, float]: ...


class Teleop(Protocol):
    """The person. Polled before every step; never behind a model call."""

    def reset(self, seed: int) -> None: ...
    def poll(self, observation: Observation, last_source: ActionSource) -> HumanInput: ...
    def ask(self, reason: str) -> None: ...


class Policy(Protocol):
    """Anything that proposes the next action; None where it has no answer in time, and the robot holds."""

    policy_id: str

    def reset(self) -> None: ...
    def act(self, observation: Observation) -> Array | None: ...


class Monitor(Protocol):
    """Anything that watches the run and says when it is stuck.

    `action` is what is about to be sent (the policy's proposal, or the next of a recovery chunk), None
    while a person drives or the robot holds; `source` is who acts at this step. None where it has no answer in
    time, and the robot holds.
    """

    def reset(self) -> None: ...
    def update(self, observation: Observation, action: Array | None, source: ActionSource) -> Decision | None: ...


class Recovery(Protocol):
    """Anything that finds a better state in memory and the next chunk towards it."""

    def reset(self) -> None: ...
    def plan(self, observation: Observation, value: float) -> RecoveryPlan: ...


class Recorder(Protocol):
    """Where steps go. Nothing is an episode until `finish` returns its id."""

    def start(self, spec: RobotSpec, collected_by: Mapping[str, Any]) -> None: ...
    def step(self, step: Step) -> None: ...
    def event(self, t: int, kind: str, **detail: Any) -> None: ...
    def finish(self, end: EpisodeEnd) -> str: ...
    def discard(self) -> None: ...


class Learner(Protocol):
    """Anything that learns while the robot runs."""

    def observe(self, step: Step) -> None: ...
    def end_episode(self, episode: Episode | None, success: Outcome) -> None: ...


class Live(Protocol):
    """Whoever watches the run from outside; never in the command path."""

    def step(self, t: int, step: Step, decision: Decision | None) -> None: ...
    def event(self, t: int, kind: str, detail: Mapping[str, Any]) -> None: ...
    def end(self, summary: EpisodeSummary) -> None: ...


Review = Callable[[EpisodeEnd], HumanInput]
"""a person who has seen the end; the robot stands meanwhile"""
