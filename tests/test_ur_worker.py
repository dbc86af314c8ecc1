"""The servo loop and the rings, with an arm that is a few numbers: motion, holding, and every reason to leave."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ursim_samples import HOME

from robot_io.ur import frames, kinematics
from robot_io.ur.admittance import Admittance
from robot_io.ur.limits import Workspace
from robot_io.ur.link import LinkConfig, Reading, Setup
from robot_io.ur.messages import ArmState, Command, Order, Phase, columns, from_row, to_row
from robot_io.ur.ring import Ring
from robot_io.ur.site import simulated_limits
from robot_io.ur.watch import Exit
from robot_io.ur.worker import ServoLoop, WorkerConfig, empty_target, rings

HZ = 125.0
SPACE = Workspace(low=(-1.0,) * 3 + (-3.0,) * 3, high=(1.0,) * 3 + (3.0,) * 3, tilt_rad=1.5, keep_out=())
LIMITS = replace(simulated_limits(), workspace=SPACE)
CONFIG = WorkerConfig(link=LinkConfig(host="127.0.0.2", frequency_hz=HZ), limits=LIMITS)
TOOL = kinematics.transform(np.array(CONFIG.limits.calibration.tcp))


def reading(**changes: object) -> Reading:
    given_ = {
        "controller_s": 0.0,
        "q": HOME,
        "qd": np.zeros(6),
        "tcp_pose": kinematics.pose(kinematics.flange(HOME) @ TOOL),
        "tcp_speed": np.zeros(6),
        "tcp_force": np.zeros(6),
        "robot_mode": 7,
        "safety_mode": 1,
        "runtime": 2,
        "speed_scaling": 1.0,
    }
    return Reading(**(given_ | changes))  # type: ignore[arg-type]


@dataclass
class FakeLink:
    """An arm that is where it was sent, one cycle later."""

    next: Reading = field(default_factory=reading)
    connected: bool = True
    clock_runs: bool = True
    sent: list[np.ndarray] = field(default_factory=list)

    def read(self) -> Reading:
        if self.clock_runs:
            self.next = replace(self.next, controller_s=self.next.controller_s + 1 / HZ)
        return self.next

    def is_connected(self) -> bool:
        return self.connected

    def servo(self, joints: np.ndarray) -> None:
        self.sent.append(joints)
        pose = kinematics.pose(kinematics.flange(joints) @ TOOL)
        self.next = replace(self.next, q=joints, tcp_pose=pose)

    def prepare(self, setup: Setup) -> None: ...
    def stop(self) -> None: ...


class Rig:
    """A loop with its rings and a clock."""

    def __init__(self) -> None:
        self.link, (self.commands, self.states) = FakeLink(), rings()
        self.loop = ServoLoop(self.link, CONFIG, self.commands, self.states)
        self.now_s = 100.0
        self.loop.start(self.now_s)

    def command(self, order: Order, target: np.ndarray | None = None, over_s: float = 0.0) -> None:
        target = empty_target() if target is None else target
        self.commands.write(
            to_row(Command(sent_s=self.link.next.controller_s, order=order, over_s=over_s, target=target))
        )

    def cycles(self, count: int) -> tuple[Exit, str] | None:
        for _ in range(count):
            self.now_s += 1 / HZ
            why = self.loop.cycle(self.now_s)
            if why is not None:
                return why
        return None

    def follow(self, target: np.ndarray, cycles: int) -> tuple[Exit, str] | None:
        """With a command ten times a second."""
        for _ in range(0, cycles, 12):
            self.command(Order.FOLLOW, target)
            why = self.cycles(12)
            if why is not None:
                return why
        return None

    @property
    def state(self) -> ArmState:
        row = self.states.last()
        assert row is not None
        return from_row(ArmState, row)


@pytest.fixture
def rig() -> Iterator[Rig]:
    made = Rig()
    yield made
    made.commands.close(unlink=True)
    made.states.close(unlink=True)


def start_pose() -> np.ndarray:
    return frames.tool_pose(kinematics.flange(HOME) @ TOOL)


def test_the_tool_goes_to_its_target_and_hardly_past_it(rig: Rig) -> None:
    target = start_pose() + np.array([0.02, -0.01, 0.03, 0.0, 0.0, 0.1])
    assert rig.follow(target, 250) is None
    assert np.allclose(rig.state.pose, target, atol=1e-4)
    assert rig.state.phase is Phase.FOLLOWING
    rows = rig.states.since(0)
    heights = np.array([from_row(ArmState, row).commanded[2] for row in rows])
    assert heights.max() <= target[2] + 0.01 * 0.03


def test_a_step_is_pulled_evenly_over_its_time(rig: Rig) -> None:
    way = np.array([0.015, 0.0, 0.0, 0.0, 0.0, 0.0])
    rig.command(Order.FOLLOW, start_pose() + way, over_s=0.1)
    assert rig.cycles(6) is None
    soon = rig.state.commanded[0] - start_pose()[0]
    assert rig.cycles(100) is None
    jumped = Rig()
    jumped.command(Order.FOLLOW, start_pose() + way)
    jumped.cycles(6)
    assert soon < 0.6 * (jumped.state.commanded[0] - start_pose()[0])
    for ring in (jumped.commands, jumped.states):
        ring.close(unlink=True)
    assert rig.state.phase is Phase.STALE


def test_without_a_command_the_arm_stands(rig: Rig) -> None:
    assert rig.cycles(100) is None
    assert np.allclose(rig.link.sent, HOME, atol=1e-9)
    assert rig.state.phase is Phase.HOLDING


def test_a_late_driver_is_a_hold_where_the_tool_is_and_then_the_end(rig: Rig) -> None:
    target = start_pose() + np.array([0.2, 0.0, 0.0, 0.0, 0.0, 0.0])
    rig.follow(target, 12)
    assert rig.cycles(60) is None
    assert rig.state.phase is Phase.STALE
    held = rig.state.commanded
    assert held[0] < target[0] - 0.03
    rig.cycles(60)
    assert np.allclose(rig.state.commanded, held, atol=0.01)
    why = rig.cycles(300)
    assert why is not None
    assert why[0] is Exit.DRIVER_GONE


def test_a_target_that_is_no_number_is_a_hold(rig: Rig) -> None:
    rig.follow(np.full(6, np.nan), 60)
    assert rig.state.phase is Phase.HOLDING
    assert np.isfinite(rig.link.sent).all()


def test_a_dead_force_sensor_does_not_move_the_arm(rig: Rig) -> None:
    rig.link.next = reading(tcp_force=np.full(6, np.nan))
    assert rig.cycles(50) is None
    assert np.allclose(rig.link.sent, HOME, atol=1e-9)


def test_a_push_gives_way_by_force_over_stiffness(rig: Rig) -> None:
    rig.link.next = reading(tcp_force=np.array([0.0, 0.0, 30.0, 0.0, 0.0, 0.0]))
    rig.command(Order.HOLD)
    for _ in range(45):
        rig.command(Order.HOLD)
        rig.cycles(12)
    assert rig.state.commanded[2] - start_pose()[2] == pytest.approx(30.0 / 3000.0, rel=0.05)


@pytest.mark.parametrize(
    ("change", "exit_code"),
    [
        ({"safety_mode": 3}, Exit.ROBOT_STOPPED),
        ({"robot_mode": 3}, Exit.ROBOT_STOPPED),
        ({"runtime": 4}, Exit.ROBOT_STOPPED),
        ({"runtime": 1}, Exit.ROBOT_STOPPED),
    ],
)
def test_a_stopped_robot_is_the_end_at_once(rig: Rig, change: dict[str, object], exit_code: Exit) -> None:
    rig.follow(start_pose(), 24)
    rig.link.next = replace(rig.link.next, **change)  # type: ignore[arg-type]
    sent = len(rig.link.sent)
    why = rig.cycles(1)
    assert why is not None
    assert why[0] is exit_code
    assert len(rig.link.sent) == sent


def test_a_lost_link_is_the_end_at_once(rig: Rig) -> None:
    rig.link.connected = False
    assert rig.cycles(1) == (Exit.LINK_LOST, "the connection to the arm is lost")


def test_a_clock_that_stands_is_a_hold_and_then_the_end(rig: Rig) -> None:
    rig.follow(start_pose(), 12)
    rig.link.clock_runs = False
    began_s = rig.now_s
    why = rig.cycles(1000)
    assert why is not None
    assert why[0] is Exit.STATE_STALE
    assert rig.now_s - began_s < LIMITS.patience.leave_after_s + 2 / HZ


def test_a_worker_that_did_not_run_looks_again_before_it_judges(rig: Rig) -> None:
    rig.follow(start_pose(), 12)
    rig.link.clock_runs = False
    rig.now_s += 2.0
    assert rig.cycles(1) is None
    rig.link.clock_runs = True
    rig.link.next = replace(rig.link.next, controller_s=rig.link.next.controller_s + 1.5)
    rig.command(Order.FOLLOW, start_pose())
    assert rig.cycles(3) is None
    assert rig.state.phase is Phase.FOLLOWING


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"q": np.full(6, np.nan)}, "numbers that are none"),
        ({"tcp_speed": np.full(6, np.nan)}, "numbers that are none"),
        ({"q": HOME + 0.5}, "joint of the arm jumped by"),
        ({"controller_s": 500.0}, "clock jumped by"),
    ],
)
def test_a_state_that_cannot_be_is_the_end_and_nothing_is_sent(rig: Rig, change: dict[str, object], told: str) -> None:
    rig.follow(start_pose(), 12)
    rig.link.next = replace(rig.link.next, **change)  # type: ignore[arg-type]
    sent = len(rig.link.sent)
    why = rig.cycles(1)
    assert why is not None
    assert why[0] is Exit.STATE_ABSURD
    assert re.search(told, why[1])
    assert len(rig.link.sent) == sent


def test_a_target_out_of_reach_is_the_end_and_nothing_of_it_is_sent(rig: Rig) -> None:
    why = rig.follow(np.array([1.5, 0.0, 0.3, 0.0, 0.0, 0.0]), 1000)
    assert why is not None
    assert why[0] is Exit.OUT_OF_LIMITS
    assert np.isfinite(rig.link.sent).all()


def test_an_order_to_leave_is_obeyed(rig: Rig) -> None:
    rig.command(Order.LEAVE)
    assert rig.cycles(1) == (Exit.DONE, "asked to leave")


@given(st.lists(st.floats(-1, 1), min_size=6, max_size=6))
def test_tool_poses_come_back(numbers: list[float]) -> None:
    pose = np.array(numbers)
    assert np.allclose(frames.tool_pose(frames.tool_in_base(pose)), pose, atol=1e-9)


def test_the_virtual_tool_comes_to_rest_and_hardly_past_its_target() -> None:
    tool, way = Admittance(np.zeros(6)), []
    for _ in range(500):
        way.append(tool.step(np.full(6, 0.01), np.zeros(6), 0.004).copy())
    assert np.all(np.array(way) <= 0.01 * 1.01)
    assert np.allclose(way[-1], 0.01, atol=1e-5)


def test_messages_come_back_from_their_rows() -> None:
    command = Command(sent_s=1.5, order=Order.FOLLOW, target=np.arange(6.0))
    back = from_row(Command, to_row(command))
    assert (back.sent_s, back.order) == (1.5, Order.FOLLOW)
    assert np.array_equal(back.target, command.target)
    assert columns(Command) == len(to_row(command)) == 9


@given(st.integers(1, 7), st.integers(0, 25), st.integers(0, 25))
def test_a_ring_gives_the_newest_rows_it_still_has(rows: int, written: int, since: int) -> None:
    ring = Ring.create(rows, 2)
    other = Ring.attach(ring.name, rows, 2)
    for number in range(written):
        ring.write(np.array([number, -number], float))
    numbers = other.since(since)[:, 0].tolist()
    wanted = list(range(max(since, written - rows, 0), written))
    assert numbers == wanted
    last = other.last()
    assert (None if last is None else last[0]) == (written - 1 if written else None)
    other.close(unlink=False)
    ring.close(unlink=True)
