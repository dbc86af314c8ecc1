"""Fakes of the loop's protocols: scripted, with nothing learned and nothing simulated."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from episodes.record import ActionSource, Array, Outcome
from robot_io.protocols import Decision, EpisodeEnd, HumanInput, Observation, RecoveryPlan, RobotSpec, Step

NAMES = ("x", "y", "z", "rx", "ry", "rz", "gripper")
PROPRIO = ("tool/x", "tool/y", "tool/z")

POLICY_ACTION = np.full(7, 0.1)
HUMAN_ACTION = np.full(7, 0.2)
RECOVERY_ACTION = np.full(7, 0.3)


def fake_spec(**changes: Any) -> RobotSpec:
    given: dict[str, Any] = {
        "robot": "fake",
        "task": "tube_insertion",
        "instruction": "insert the tube",
        "fps": 10.0,
        "proprio_names": PROPRIO,
        "proprio_units": ("m", "m", "m"),
        "cameras": ("third",),
        "image_px": 8,
        "action_space": {"names": list(NAMES), "units": ["m"] * 7, "frame": "base", "limits": [-1.0, 1.0]},
        "wrench_attrs": {"frame": "base", "tared": True},
    }
    return RobotSpec(**(given | changes))


def fake_observation(t: int, *, force_n: float = 0.0, outcome: Outcome = Outcome.UNKNOWN) -> Observation:
    return Observation(
        time_s=t / 10,
        ee_pose=np.array([0.0, 0.0, t / 100, 0.0, 0.0, 0.0, 1.0]),
        proprio=np.full(3, t, np.float32),
        wrench=np.array([force_n, 0.0, 0.0, 0.0, 0.0, 0.0], np.float32),
        images={"third": np.full((8, 8, 3), t % 256, np.uint8)},
        outcome=outcome,
    )


@dataclass
class FakeRobot:
    """Ten steps a second; `log` is shared with other fakes to test the order of things."""

    forces_n: Sequence[float] = ()
    succeeds_at: int | None = None
    fails_at: int | None = None
    raises_at: int | None = None
    log: list[str] = field(default_factory=list)
    sent: list[Array] = field(default_factory=list)
    t: int = 0
    spec: RobotSpec = field(default_factory=fake_spec)

    def reset(self, seed: int) -> Observation:
        self.t = 0
        return self.observe()

    def observe(self) -> Observation:
        force = self.forces_n[self.t] if self.t < len(self.forces_n) else 0.0
        outcome = Outcome.SUCCESS if self.t == self.succeeds_at else Outcome.UNKNOWN
        if self.t == self.fails_at:
            outcome = Outcome.FAILURE
        return fake_observation(self.t, force_n=force, outcome=outcome)

    def send(self, action: Array) -> Array:
        if self.t == self.raises_at:
            raise OSError("the cable is out")
        self.log.append("send")
        self.sent.append(np.array(action))
        self.t += 1
        return np.asarray(action, np.float32)

    def stop(self) -> None:
        self.log.append("stop")


@dataclass
class FakePolicy:
    log: list[str] = field(default_factory=list)
    answer: Callable[[int], Array | None] = lambda t: POLICY_ACTION
    policy_id: str = "fake-policy"
    resets: int = 0

    def reset(self) -> None:
        self.resets += 1

    def act(self, observation: Observation) -> Array | None:
        self.log.append("policy")
        return self.answer(round(observation.time_s * 10))


def raising(at: int) -> Callable[[int], Array]:
    def answer(t: int) -> Array:
        if t >= at:
            raise RuntimeError("out of memory")
        return POLICY_ACTION

    return answer


@dataclass
class FakeTeleop:
    """Drives in the steps of `drives`; other inputs by step in `inputs`. With `answers_after`, drives when asked."""

    drives: range = range(0)
    inputs: Mapping[int, HumanInput] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def reset(self, seed: int) -> None:
        self.asked.clear()

    def poll(self, observation: Observation, last_source: ActionSource) -> HumanInput:
        self.log.append("poll")
        t = round(observation.time_s * 10)
        if t in self.inputs:
            return self.inputs[t]
        return HumanInput(action=HUMAN_ACTION, raw=np.ones(6), reason="stall") if t in self.drives else HumanInput()

    def ask(self, reason: str) -> None:
        self.asked.append(reason)


@dataclass
class FakeMonitor:
    """`values[t]` at step t (the last one lasts); fires at the steps of `fires`."""

    values: Sequence[float] = (0.5,)
    fires: frozenset[int] = frozenset()
    log: list[str] = field(default_factory=list)
    told: list[tuple[int, ActionSource]] = field(default_factory=list)
    """(step, source) of each update"""
    resets: list[int] = field(default_factory=list)
    """how many updates came before each reset"""

    def reset(self) -> None:
        self.resets.append(len(self.told))

    def update(self, observation: Observation, action: Array | None, source: ActionSource) -> Decision:
        self.log.append("monitor")
        t = round(observation.time_s * 10)
        self.told.append((t, source))
        value = self.values[min(t, len(self.values) - 1)]
        return Decision(trigger=t in self.fires, value=value, score=1.0, threshold=0.5)


@dataclass
class FakeRecovery:
    """Gives the plans in turn, each towards another goal; the last one lasts."""

    chunks: Sequence[Array | None] = (np.tile(RECOVERY_ACTION, (3, 1)),)
    log: list[str] = field(default_factory=list)
    planned: int = 0

    def reset(self) -> None:
        self.planned = 0

    def plan(self, observation: Observation, value: float) -> RecoveryPlan:
        self.log.append("plan")
        chunk = self.chunks[min(self.planned, len(self.chunks) - 1)]
        self.planned += 1
        reason = "" if chunk is not None else "similarity below the floor"
        item = f"0123456789abcdef:{3 + self.planned}"
        return RecoveryPlan(chunk=chunk, similarity=0.9, goal_value=0.8, item=item, reason=reason)


@dataclass
class FakeRecorder:
    """Keeps everything in memory."""

    log: list[str] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    ends: list[EpisodeEnd] = field(default_factory=list)
    discarded: int = 0
    full_at: int | None = None

    def start(self, spec: RobotSpec, collected_by: Mapping[str, Any]) -> None:
        self.log.append("start")

    def step(self, step: Step) -> None:
        if len(self.steps) == self.full_at:
            raise OSError(28, "no space left")
        self.steps.append(step)

    def event(self, t: int, kind: str, **detail: Any) -> None:
        self.events.append({"t": t, "kind": kind, **detail})

    def finish(self, end: EpisodeEnd) -> str:
        self.log.append("finish")
        if self.full_at is not None:
            raise OSError(28, "no space left")
        self.ends.append(end)
        return "0123456789abcdef"

    def discard(self) -> None:
        self.log.append("discard")
        self.discarded += 1

    @property
    def sources(self) -> list[ActionSource]:
        return [step.source for step in self.steps]

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["kind"] == kind]
