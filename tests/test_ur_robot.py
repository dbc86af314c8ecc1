"""The arm as the loop's robot: limits, what is sent, what is sensed, and every way an arm can be gone; with fakes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from episodes.errors import DeviceError, SafetyStop, UsageError
from episodes.record import Outcome
from robot_io.protocols import RobotSpec
from robot_io.sim import SimRobot, make_robot
from robot_io.sim.arm import FPS_HZ
from robot_io.ur import frames, kinematics
from robot_io.ur.cell import Sensed
from robot_io.ur.messages import ArmState, Phase, to_row
from robot_io.ur.native import native_stream
from robot_io.ur.ready import must_be_ready
from robot_io.ur.reference import Reference
from robot_io.ur.robot import UrRobot, at_flange, tool_quaternion
from robot_io.ursim.robot import reference_of, wired_spec

START = np.array([0.45, 0.0, 0.2, 0.01, -0.02, 0.05])
SIX = st.lists(st.floats(-1, 1), min_size=6, max_size=6).map(np.array)


@dataclass
class FakeArm:
    """Stands where it stands, and keeps what it is told."""

    log: list[str]
    now: list[float]
    pose: np.ndarray = field(default_factory=START.copy)
    force: np.ndarray = field(default_factory=lambda: np.zeros(6))
    age_s: float = 0.0
    gone: str = ""
    targets: list[np.ndarray] = field(default_factory=list)
    cycles: int = 0

    def follow(self, target: np.ndarray, over_s: float = 0.0) -> None:
        self.targets.append(target)
        self.log.append(f"follow over {over_s:g}")

    def hold(self) -> None:
        self.log.append("hold")
        if self.gone:
            raise SafetyStop(self.gone)

    def states_since(self, count: int) -> tuple[int, np.ndarray]:
        self.cycles += 3
        return self.cycles, np.tile(to_row(self.state()), (self.cycles - count, 1))

    def state(self) -> ArmState:
        if self.gone:
            raise SafetyStop(self.gone)
        zeros = np.zeros(6)
        return ArmState(
            read_s=self.now[0] - self.age_s,
            controller_s=self.now[0],
            phase=Phase.FOLLOWING,
            robot_mode=7,
            safety_mode=1,
            runtime=2,
            speed_scaling=1.0,
            command_count=0,
            late_s=0.0,
            stepped_in=0,
            q=zeros,
            qd=zeros,
            pose=self.pose,
            velocity=zeros,
            force=self.force,
            commanded=self.pose,
        )


@dataclass
class FakeCell:
    log: list[str]
    outcome: Outcome = Outcome.UNKNOWN

    def reset(self, seed: int) -> None:
        self.log.append(f"reset {seed}")

    def grip(self, command: float) -> None:
        self.log.append(f"grip {command:g}")

    def sense(self) -> Sensed:
        return Sensed(opening=0.25, estimate=np.arange(5.0), outcome=self.outcome)

    def frame(self, camera: str, image_px: int) -> np.ndarray:
        return np.zeros((image_px, image_px, 3), np.uint8)

    def close(self) -> None:
        self.log.append("close cell")


@dataclass
class Rig:
    robot: UrRobot
    arm: FakeArm
    cell: FakeCell
    log: list[str]
    now: list[float]


@pytest.fixture(scope="module")
def direct() -> Iterator[SimRobot]:
    made = make_robot("tube_insertion")
    yield made
    made.close()


def rig_of(spec: RobotSpec, reference: Reference) -> Rig:
    log: list[str] = []
    now = [10.0]
    arm, cell = FakeArm(log, now), FakeCell(log)

    @contextmanager
    def arms() -> Iterator[FakeArm]:
        log.append("worker starts")
        yield arm
        log.append("worker ends")

    def sleep(seconds: float) -> None:
        now[0] += seconds

    return Rig(UrRobot(arms, cell, spec, reference, now=lambda: now[0], sleep=sleep), arm, cell, log, now)


@pytest.fixture
def rig(direct: SimRobot) -> Rig:
    return rig_of(wired_spec(direct), reference_of(direct))


def action(*numbers: float) -> np.ndarray:
    return np.array([*numbers, *[0.0] * (7 - len(numbers))], np.float32)


def test_a_reset_ends_the_worker_before_the_scene_changes_and_starts_another(rig: Rig) -> None:
    rig.robot.reset(3)
    rig.robot.reset(4)
    rig.robot.close()
    turn = ["worker starts", "worker ends"]
    assert rig.log == ["reset 3", *turn, "reset 4", *turn, "close cell"]


def test_an_observation_has_the_columns_of_the_simulated_robot(rig: Rig, direct: SimRobot) -> None:
    rig.arm.force = np.array([1.0, 2.0, 3.0, 0.0, 0.0, 0.0])
    seen, simulated = rig.robot.reset(0), direct.reset(0)
    assert seen.time_s == 0.0
    assert seen.proprio.shape == simulated.proprio.shape == (len(rig.robot.spec.proprio_names),)
    assert (seen.proprio.dtype, seen.wrench.dtype) == (simulated.proprio.dtype, simulated.wrench.dtype)
    named = dict(zip(rig.robot.spec.proprio_names, seen.proprio.tolist(), strict=True))
    assert named["tool/z"] == pytest.approx(0.2)
    assert named["gripper/opening"] == 0.25
    assert (named["wrench/fy"], named["priv/tilt_y"]) == (2.0, 4.0)
    assert {name: frame.shape for name, frame in seen.images.items()} == {"third": (64, 64, 3)}
    rig.now[0] += 0.1
    assert rig.robot.observe().time_s == pytest.approx(0.1)


def test_the_spec_is_the_simulated_robots_but_for_the_name(direct: SimRobot) -> None:
    spec = wired_spec(direct)
    assert spec.robot != direct.spec.robot
    assert replace(spec, robot=direct.spec.robot) == direct.spec


def test_a_step_moves_the_target_and_the_arm_is_pulled_there_over_the_step(rig: Rig) -> None:
    rig.robot.reset(0)
    executed = rig.robot.send(action(1.0, -2.0, 0.0, 0.0, 0.0, 0.5))
    assert executed.tolist() == [1.0, -1.0, 0.0, 0.0, 0.0, 0.5, -1.0]
    # a full action is 15 mm, the largest lead 12 mm
    assert np.allclose(rig.arm.targets[-1] - START, [0.012, -0.012, 0.0, 0.0, 0.0, 0.04])
    assert rig.log[-1] == f"follow over {1 / FPS_HZ:g}"


def test_an_arm_that_is_held_back_is_not_run_after(rig: Rig) -> None:
    rig.robot.reset(0)
    for _ in range(50):
        rig.robot.send(action(0.0, 0.0, -1.0))
    assert rig.arm.targets[-1][2] == pytest.approx(START[2] - 0.012)


def test_what_the_limits_give_is_what_is_sent_and_what_error_is_told_of(rig: Rig) -> None:
    rig.robot.reset(0)
    rig.robot.send(action(0.3, 0.1))
    assert np.array_equal(rig.arm.targets[-1], rig.robot.target)
    error = rig.robot.observe().proprio[12:18]
    assert np.allclose(error, rig.robot.target - START, atol=1e-6)


@given(SIX, SIX, SIX)
def test_a_target_never_leads_by_more_than_the_limit(
    start: np.ndarray, measured: np.ndarray, moved: np.ndarray
) -> None:
    limits = Reference(low=(-0.5,) * 6, high=(0.5,) * 6, lead=(0.02,) * 6, step=(0.015,) * 6)
    target = limits.next(start, measured, 100.0 * moved)
    assert np.all(np.abs(target - measured) <= 0.02 + 1e-12)
    inside = np.abs(measured) <= 0.5
    assert np.all(np.abs(target[inside]) <= 0.5 + 1e-12)


def test_the_limits_are_those_of_the_simulated_arm(direct: SimRobot) -> None:
    random, limits = np.random.default_rng(0), reference_of(direct)
    direct.reset(5)
    for _ in range(30):
        moved = random.uniform(-1.0, 1.0, 7).astype(np.float32)
        wanted = limits.next(direct.arm.target, direct.arm.pose(), moved[:6].astype(float))
        direct.send(moved)
        assert np.allclose(direct.arm.target, wanted, atol=1e-12)


@pytest.mark.parametrize(
    ("name", "numbers"), [("low", (2.0,) * 6), ("lead", (0.0,) * 6), ("step", (np.nan,) * 6), ("high", (1.0,) * 5)]
)
def test_limits_that_cannot_be_are_refused(name: str, numbers: tuple[float, ...]) -> None:
    sound = {"low": (-1.0,) * 6, "high": (1.0,) * 6, "lead": (0.1,) * 6, "step": (0.1,) * 6}
    with pytest.raises(UsageError, match="do not fit"):
        Reference(**(sound | {name: numbers}))


def test_the_gripper_is_told_what_is_new(rig: Rig) -> None:
    free = dict(rig.robot.spec.action_space) | {"locked": [], "gripper_at_reset": 1.0}
    rig = rig_of(replace(rig.robot.spec, action_space=free), rig.robot._reference)
    rig.robot.reset(0)
    for wanted in (1.0, -1.0, -1.0, 0.5):
        assert rig.robot.send(action(0, 0, 0, 0, 0, 0, wanted))[6] == wanted
    assert [line for line in rig.log if line.startswith("grip")] == ["grip -1", "grip 0.5"]


@pytest.mark.parametrize("given_", [np.zeros(6), np.full(7, np.nan), np.zeros((1, 7))])
def test_an_action_that_is_none_is_refused_and_nothing_is_sent(rig: Rig, given_: np.ndarray) -> None:
    rig.robot.reset(0)
    with pytest.raises(DeviceError, match="send seven finite numbers"):
        rig.robot.send(given_)
    assert not rig.arm.targets


def test_a_worker_that_has_left_is_a_stop_with_its_reason(rig: Rig) -> None:
    rig.robot.reset(0)
    rig.arm.gone = "the connection to the arm is lost"
    for call in (rig.robot.observe, lambda: rig.robot.send(np.zeros(7))):
        with pytest.raises(SafetyStop, match="the connection to the arm is lost"):
            call()
    rig.robot.stop()


def test_a_stop_holds_and_the_target_is_where_the_tool_is(rig: Rig) -> None:
    rig.robot.stop()
    rig.robot.reset(0)
    rig.robot.send(action(1.0))
    rig.robot.stop()
    assert rig.log[-1] == "hold"
    assert np.allclose(rig.robot.target, START)


def test_a_state_that_stays_old_is_a_stop(rig: Rig) -> None:
    rig.robot.reset(0)
    rig.arm.age_s = 0.3
    with pytest.raises(SafetyStop, match=r"state is 0\.30 s old"):
        rig.robot.send(np.zeros(7))
    assert not rig.arm.targets


def test_an_arm_out_of_its_box_does_not_start_and_does_not_go_on(rig: Rig) -> None:
    rig.robot.reset(0)
    rig.arm.pose = START + np.array([0.5, 0, 0, 0, 0, 0])
    with pytest.raises(SafetyStop, match="out of the box of task tube_insertion"):
        rig.robot.send(np.zeros(7))
    with pytest.raises(SafetyStop, match="out of the box"):
        rig.robot.reset(1)


def test_before_a_reset_there_is_no_arm(rig: Rig) -> None:
    with pytest.raises(DeviceError, match="reset it first"):
        rig.robot.send(np.zeros(7))


@given(SIX)
def test_the_quaternion_is_that_of_the_tools_axes(pose: np.ndarray) -> None:
    axes = kinematics.rotation(pose[3:]) @ frames.TOOL_DOWN
    x, y, z, w = tool_quaternion(pose)
    assert x * x + y * y + z * z + w * w == pytest.approx(1.0)
    third = [2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x * x + y * y)]
    first = [1 - 2 * (y * y + z * z), 2 * (x * y + w * z), 2 * (x * z - w * y)]
    assert np.allclose(axes[:, 2], third)
    assert np.allclose(axes[:, 0], first)


def test_a_push_on_the_tool_point_turns_about_the_flange() -> None:
    down = np.zeros(6)
    # the tool point is 0.165 m below the flange: +x on it is a moment of -0.165 about y
    assert np.allclose(at_flange(np.array([10.0, 0, 0, 0, 0, 0]), down), [10.0, 0, 0, 0, -1.65, 0])


@dataclass
class Says:
    answers: dict[str, str]

    def ask(self, line: str) -> str:
        return self.answers[line]


READY = {
    "get robot model": "UR5",
    "is in remote control": "true",
    "robotmode": "Robotmode: RUNNING",
    "safetystatus": "Safetystatus: NORMAL",
    "PolyscopeVersion": "URSoftware 5.12",
}


def test_a_ready_arm_says_what_it_is() -> None:
    assert must_be_ready(Says(READY), "h") == "UR5, URSoftware 5.12"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"get robot model": "UR10"}, "is a UR10; only a UR5e or UR7e"),
        ({"is in remote control": "false"}, "not in remote control"),
        ({"PolyscopeVersion": "URSoftware 3.15.8"}, "only PolyScope 5 is driven"),
        ({"PolyscopeVersion": "gibberish"}, "only PolyScope 5 is driven"),
        ({"robotmode": "Robotmode: POWER_OFF"}, "robot POWER_OFF"),
        ({"safetystatus": "Safetystatus: PROTECTIVE_STOP"}, "safety PROTECTIVE_STOP"),
    ],
)
def test_an_arm_that_is_not_ready_is_one_sentence(change: dict[str, str], told: str) -> None:
    with pytest.raises(DeviceError, match=told):
        must_be_ready(Says(READY | change), "h")


def test_every_cycle_between_two_observations_is_in_the_second_by_name(rig: Rig) -> None:
    rig.robot.reset(1)
    rig.now[0] += 0.1
    rig.arm.force = np.arange(6.0)
    stream = rig.robot.observe().stream
    assert np.allclose(stream["t"], [0.1]), "three cycles that read the same package"
    assert np.array_equal(stream["wrench"], [np.arange(6.0)])
    assert np.allclose(stream["tcp"], [START])
    assert stream["speed_scaling"].tolist() == [1.0]
    assert len(rig.robot.observe().stream["t"]) == 0


def test_the_stream_only_grows() -> None:
    state = FakeArm([], [10.0]).state()
    rows = np.array([to_row(replace(state, controller_s=10.0 + t)) for t in (0.1, 0.2, 0.2, 0.15, 0.3)])
    assert np.allclose(native_stream(rows, 10.0, 0.1)["t"], [0.2, 0.3])
