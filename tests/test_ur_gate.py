"""The gate: what it returns is what is sent, and no input whatever brings that beyond a limit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from math import hypot, sqrt
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from episodes.errors import DeviceError, UsageError
from robot_io.ur import frames, kinematics
from robot_io.ur.bounds import axis_bounds
from robot_io.ur.clearance import clearance, singularity
from robot_io.ur.gate import CHAIN, Cycle, Passing, Step, gate
from robot_io.ur.limiter import Bounds, Moving, limited
from robot_io.ur.limits import Block, Limits
from robot_io.ur.link import LinkConfig, Reading
from robot_io.ur.site import SIMULATED, read_limits, simulated_limits, told
from robot_io.ur.watch import Exit, Seen
from robot_io.ursim.limits import JOINT_CHANGE_RAD_S2
from robot_io.ursim.motion import JointTarget, Servo

LINK = LinkConfig(host="127.0.0.2")
DT_S = 0.008
LIMITS = simulated_limits()
POST = Block(name="post", low=(0.52, -0.05, 0.0), high=(0.6, 0.05, 0.3))
FENCED = replace(
    LIMITS,
    workspace=replace(LIMITS.workspace, keep_out=(POST,), tilt_rad=0.2),
    motion=replace(LIMITS.motion, speed_m_s=0.3, speed_rad_s=1.0, acceleration_m_s2=5.0, jerk_m_s3=500.0),
)
TOOL = kinematics.transform(np.array(LIMITS.calibration.tcp))
START = np.array([0.45, 0.0, 0.2, 0.0, 0.0, 0.0])
NEAR_HOME = np.array([0.0, -1.6, 1.9, -1.9, -np.pi / 2, 0.0])
FINE = Seen(connected=True, stood_s=0.0, command_age_s=0.0)


def joints_at(pose: np.ndarray) -> np.ndarray:
    joints = kinematics.inverse(frames.tool_in_base(pose) @ np.linalg.inv(TOOL), NEAR_HOME)
    assert joints is not None
    return joints


def a_cycle(**changes: object) -> Cycle:
    reading = Reading(
        controller_s=1.0,
        q=joints_at(START),
        qd=np.zeros(6),
        tcp_pose=kinematics.pose(frames.tool_in_base(START)),
        tcp_speed=np.zeros(6),
        tcp_force=np.zeros(6),
        robot_mode=7,
        safety_mode=1,
        runtime=2,
        speed_scaling=1.0,
    )
    given_: dict[str, object] = {
        "limits": LIMITS,
        "dt_s": DT_S,
        "tool": TOOL,
        "reading": reading,
        "seen": FINE,
        "measured": START,
        "moving": tuple(Moving(x) for x in START.tolist()),
        "joints": joints_at(START),
        "joint_speeds": np.zeros(6),
        "wanted_before": START,
    } | changes
    return Cycle(bounds=bounds_of(given_["limits"]), **given_)  # type: ignore[arg-type]


@cache
def bounds_of(limits: Limits) -> tuple[Bounds, ...]:
    return axis_bounds(limits, TOOL, joints_at(START))


def with_reading(**changes: object) -> Cycle:
    cycle = a_cycle()
    return replace(cycle, reading=replace(cycle.reading, **changes))  # type: ignore[arg-type]


def sequence(limits: object, asked: list[np.ndarray]) -> Iterator[tuple[Cycle, Passing]]:
    """Cycle after cycle on an arm that is where it was sent, until the gate stops."""
    cycle = a_cycle(limits=limits)
    for wanted in asked:
        passed = gate(wanted, cycle)
        if passed.stop is not None:
            return
        yield cycle, passed
        cycle = replace(
            cycle,
            moving=passed.moving,
            joints=passed.joints,
            joint_speeds=(passed.joints - cycle.joints) / DT_S,
            measured=passed.pose,
            wanted_before=np.array(wanted),
        )


def wild(seed: int) -> list[np.ndarray]:
    """Jumps, walks, slams to and fro, and what is no number: a few hundred poses."""
    random = np.random.default_rng(seed)
    poses, at = [], START.copy()
    while len(poses) < 150:
        kind, length = random.integers(5), int(random.integers(1, 30))
        if kind == 0:
            at = START + random.normal(0.0, 1.0, 6) * [0.3, 0.3, 0.2, 0.2, 0.2, 0.3]
        steps = random.normal(0.0, [0.0, 0.003, 0.03, 0.3, 3.0][kind], (length, 6))
        poses += [at + step if kind < 4 else np.full(6, [np.nan, np.inf, 1e9][length % 3]) for step in steps]
    return poses


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_whatever_is_asked_what_is_sent_is_within_every_limit(seed: int) -> None:
    space, motion = FENCED.workspace, FENCED.motion
    share = 1.0 / sqrt(3.0) + 1e-9
    for before, passed in sequence(FENCED, wild(seed)):
        pose, tool = passed.pose, frames.tool_pose(kinematics.flange(passed.joints) @ TOOL)
        assert np.allclose(pose, tool, atol=1e-6), "the joints sent are those of the pose that was judged"
        assert np.all(pose >= space.low)
        assert np.all(pose <= space.high)
        assert hypot(pose[3], pose[4]) <= space.tilt_rad + 1e-9
        assert not (np.all(pose[:3] > POST.low) and np.all(pose[:3] < POST.high))
        for axis, (now, then) in enumerate(zip(before.moving, passed.moving, strict=True)):
            turns = axis > 2
            assert abs(then.v) <= share * (motion.speed_rad_s if turns else motion.speed_m_s)
            assert abs(then.a) <= share * (motion.acceleration_rad_s2 if turns else motion.acceleration_m_s2)
            assert abs(then.a - now.a) / DT_S <= 1.001 * share * (motion.jerk_rad_s3 if turns else motion.jerk_m_s3)
            assert then.v == pytest.approx((then.x - now.x) / DT_S, abs=1e-6), "its speed is that of what is sent"
        speeds = (passed.joints - before.joints) / DT_S
        assert np.abs(speeds).max() <= FENCED.joints.speed_rad_s
        assert np.abs(speeds - before.joint_speeds).max() / DT_S <= FENCED.joints.acceleration_rad_s2
        assert np.abs(passed.joints).max() <= kinematics.SPAN_RAD - FENCED.joints.margin_rad
        assert singularity(passed.joints, TOOL) >= FENCED.joints.singular
        assert clearance(passed.joints, TOOL) >= FENCED.joints.clearance_m


@pytest.mark.parametrize("aside", [0.0, 0.03, -0.049])
def test_a_run_at_full_speed_into_a_post_stops_before_it_and_comes_out_again(aside: float) -> None:
    begin, through, back = (START + np.array([x, aside, 0, 0, 0, 0]) for x in (0.0, 0.25, -0.05))
    way = [passed for _, passed in sequence(FENCED, [begin] * 60 + [through] * 120 + [back] * 150)]
    assert len(way) == 330
    assert not any(np.all(passed.pose[:3] > POST.low) and np.all(passed.pose[:3] < POST.high) for passed in way)
    assert any("come into post" in why for passed in way for _, why in passed.reasons)
    assert np.allclose(way[-1].pose[:3], back[:3], atol=1e-3)


BOUNDS = st.builds(
    lambda width, speed, acceleration, jerk, sure: Bounds(
        -width, width, speed, acceleration, jerk * acceleration, sure * acceleration
    ),
    st.floats(0.05, 1.0),
    st.floats(0.05, 1.0),
    st.floats(1.0, 30.0),
    st.floats(5.0, 500.0),
    st.floats(0.1, 1.0),
)


@settings(deadline=None)
@given(BOUNDS, st.lists(st.none() | st.floats(-1e6, 1e6), min_size=1, max_size=80), st.floats(-9, 9))
def test_an_axis_stays_within_its_bounds(bounds: Bounds, asked: list[float | None], speed: float) -> None:
    now = Moving(0.0)
    for wanted in asked:
        then = limited(now, wanted, speed, bounds, DT_S)
        assert bounds.low <= then.x <= bounds.high
        assert abs(then.v) <= bounds.speed * (1 + 1e-9)
        assert abs(then.a) <= bounds.acceleration
        assert abs(then.a - now.a) <= bounds.jerk * DT_S * (1 + 1e-9)
        now = then


def test_what_is_within_its_limits_goes_through_unchanged() -> None:
    way = [START + np.array([0.02, 0.01, -0.03, 0.0, 0.0, 0.1]) * (1 - np.cos(t)) for t in np.linspace(0, 3, 200)]
    for (_, passed), wanted in zip(sequence(LIMITS, way), way, strict=True):
        assert np.array_equal(passed.pose, wanted) or np.allclose(passed.pose, wanted, atol=1e-12)
        assert not passed.reasons


def test_an_axis_comes_to_its_target_after_a_jump_and_stands() -> None:
    bounds, now, way = Bounds(-1.0, 1.0, 0.3, 10.0, 3000.0, 10.0), Moving(0.0), []
    for _ in range(120):
        now = limited(now, 0.1, 0.0, bounds, DT_S)
        way.append(now.x)
    assert max(way) < 0.1 * 1.05
    assert now.x == pytest.approx(0.1)
    assert now.v == pytest.approx(0.0, abs=1e-9)


def test_the_order_of_the_chain() -> None:
    names = ["finite", "fresh", "in_workspace", "in_motion_limits", "in_joint_limits", "below_hard_force"]
    assert [check.__name__ for check in CHAIN] == [*names, "controller_runs", "within_watchdog"]


@pytest.mark.parametrize(
    ("cycle", "exit_code", "why"),
    [
        (a_cycle(seen=replace(FINE, connected=False)), Exit.LINK_LOST, "connection to the arm is lost"),
        (a_cycle(seen=replace(FINE, stood_s=0.51)), Exit.STATE_STALE, "clock has stood for 0.51 s"),
        (a_cycle(seen=replace(FINE, absurd="nonsense")), Exit.STATE_ABSURD, "nonsense"),
        (a_cycle(seen=replace(FINE, command_age_s=2.1)), Exit.DRIVER_GONE, "no command for 2 s"),
        (with_reading(tcp_force=np.array([0, 0, 101.0, 0, 0, 0])), Exit.FORCE, "is 101 N, above 100 N"),
        (with_reading(safety_mode=3), Exit.ROBOT_STOPPED, "stopped for safety"),
        (with_reading(robot_mode=5), Exit.ROBOT_STOPPED, "not running"),
        (with_reading(runtime=4), Exit.ROBOT_STOPPED, "program is not running"),
    ],
)
def test_what_must_not_be_sent_is_a_stop_with_its_reason(cycle: Cycle, exit_code: Exit, why: str) -> None:
    passed = gate(START, cycle)
    assert passed.stop is exit_code
    assert why in passed.why


@pytest.mark.parametrize(
    ("change", "step"),
    [({"seen": replace(FINE, stood_s=0.06)}, Step.FRESH), ({"late_s": 0.2}, Step.WATCHDOG)],
)
def test_what_is_late_brakes(change: dict[str, object], step: Step) -> None:
    moving = (Moving(START[0], 0.1), *(Moving(x) for x in START[1:].tolist()))
    passed = gate(START + 0.05, a_cycle(moving=moving, **change))
    assert passed.stop is None
    assert step in [each for each, _ in passed.reasons]
    assert abs(passed.moving[0].v) < 0.1
    assert np.allclose(frames.tool_pose(kinematics.flange(passed.joints) @ TOOL), passed.pose, atol=1e-6)


@pytest.mark.parametrize("asked", [np.full(6, np.nan), np.zeros(5), np.full(6, -np.inf)])
def test_what_is_no_pose_brakes(asked: np.ndarray) -> None:
    passed = gate(asked, a_cycle())
    assert passed.reasons[0][0] is Step.FINITE
    assert np.array_equal(passed.joints, joints_at(passed.pose))
    assert np.allclose(passed.pose, START)


def test_joint_limits_are_kept() -> None:
    slow = replace(LIMITS, joints=replace(LIMITS.joints, speed_rad_s=1e-5))
    stiff = replace(LIMITS, joints=replace(LIMITS.joints, acceleration_rad_s2=1e-3))
    clear = replace(LIMITS, joints=replace(LIMITS.joints, clearance_m=0.2))
    straight = replace(LIMITS, joints=replace(LIMITS.joints, singular=0.2))
    for limits, place, speed, why in (
        (slow, START + 0.05, 0.05, "would be faster"),
        (stiff, START + 0.05, 0.05, "would change by more"),
        (clear, START - np.array([0.16, 0, 0, 0, 0, 0]), 0.0, "own links"),
        (straight, START - np.array([0.16, 0, 0, 0, 0, 0]), 0.0, "singular"),
    ):
        moving = tuple(Moving(x, speed) for x in place.tolist())
        near = a_cycle(limits=limits, moving=moving, measured=place, wanted_before=place, joints=joints_at(place))
        passed = gate(place + 0.001, near)
        assert passed.stop is Exit.OUT_OF_LIMITS
        assert why in passed.why


@pytest.mark.parametrize(
    "way", [[1, 1, 1, 3, 3, 3], [-1, 1, 0, 0, 0, 0], [-1, -1, -1, -3, -3, -3], [0, 0, 0, 9, -9, 9]]
)
def test_a_jump_that_also_turns_is_far_from_what_the_controller_stops(way: list[float]) -> None:
    """The joints sent, through the servo of the simulated controller, which stops at a sudden change of its target."""
    arm, changes = JointTarget(joints_at(START), np.zeros(6)), []
    servo = Servo(arm.q, LINK.lookahead_s, LINK.gain)
    way_there = [START + np.array(way)] * 100 + [START] * 100
    sent = [passed.joints for _, passed in sequence(LIMITS, way_there)]
    assert len(sent) == len(way_there), "the worker does not leave"
    for servo.goal in sent:
        for _ in range(4):
            before, arm = arm, servo.step(arm, DT_S / 4)
            changes.append(np.abs(arm.qd - before.qd).max() / (DT_S / 4))
    assert max(changes) < 0.7 * JOINT_CHANGE_RAD_S2


def test_a_capsule_model_knows_a_folded_arm() -> None:
    assert clearance(NEAR_HOME, TOOL) > 0.3
    assert clearance(np.array([0.0, -1.6, 2.6, 0.5, -np.pi / 2, 0.0]), TOOL) < 0.0


def test_an_arm_outside_of_its_workspace_is_not_driven_back() -> None:
    with pytest.raises(DeviceError, match="out of the site's workspace"):
        LIMITS.workspace.must_hold(START + 0.3)
    with pytest.raises(DeviceError, match="in post"):
        FENCED.workspace.must_hold(np.array([0.55, 0.0, 0.1, 0.0, 0.0, 0.0]))


# --- the site file ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after", "why"),
    [
        ("lead_rad = 0.3", "led_rad = 0.3", r"motion.lead_rad \(field required\)"),
        ("[joints]", "[joints]\nspeed = 1.0", "joints.speed"),
        ("speed_m_s = 0.5", "speed_m_s = 1.6", "motion.speed_m_s is 1.6; give .* to 1.5"),
        (
            "acceleration_rad_s2 = 50.0",
            "acceleration_rad_s2 = 61.0",
            "joints.acceleration_rad_s2 is 61; give .* to 60",
        ),
        ("hard_n = 100.0", "hard_n = 200.0", "force.hard_n is 200"),
        ("soft_n = 60.0", "soft_n = 120.0", "do not fit"),
        ("payload_kg = 0.92", "", r"calibration.payload_kg \(field required\)"),
        ("payload_kg = 0.92", "payload_kg = 7.0", "payload_kg is 7"),
        ("tilt_rad = 0.25", "tilt_rad = nan", "workspace.tilt_rad"),
        ("version = 1", "version = 2", "is of version 2; this Regrasp reads version 1"),
        ("low = [0.28,", "low = [0.80,", "give low below high"),
        ("watchdog_hz = 10.0", "watchdog_hz = 1.0", "watchdog_hz is 1; give 2 to 100"),
        ("leave_after_s = 0.5", "leave_after_s = 0.01", "leaves before it holds"),
        ("[motion]", "[motion", "is no TOML"),
    ],
)
def test_a_site_file_that_cannot_be_right_is_one_sentence(tmp_path: Path, before: str, after: str, why: str) -> None:
    text = SIMULATED.read_text()
    assert before in text
    file = tmp_path / "site.toml"
    file.write_text(text.replace(before, after, 1))
    with pytest.raises(UsageError, match=why) as caught:
        read_limits(file)
    assert str(file) in str(caught.value)
    assert "\n" not in str(caught.value) or "TOML" in str(caught.value)


def test_the_limits_are_told_to_a_person() -> None:
    said = told(replace(LIMITS, workspace=FENCED.workspace))
    for part in (
        "simulated cell, version 1",
        "keeps out of post",
        "never above 100 N",
        "0.5 m/s",
        "1.5 rad/s, 50 rad/s2",
    ):
        assert part in said
    with pytest.raises(UsageError, match="cannot be read"):
        read_limits(Path("nowhere.toml"))
