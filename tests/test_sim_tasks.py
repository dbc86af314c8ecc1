"""The simulated tasks: experts succeed swiftly, the potential follows a careful approach, jams are contact."""

from __future__ import annotations

import numpy as np
import pytest

from episodes.record import Outcome
from robot_io.sim import SimRobot, make_robot


@pytest.fixture(scope="module")
def tube() -> SimRobot:
    return make_robot("tube_insertion", cameras=())


@pytest.fixture(scope="module")
def eggplant() -> SimRobot:
    return make_robot("pick_eggplant", cameras=())


def expert_run(robot: SimRobot, seed: int) -> tuple[list[float], int]:
    """Potentials at each step and the number of stalled steps."""
    robot.reset(seed)
    potential, stalled = [robot.privileged.phi], 0
    while robot.privileged.outcome is Outcome.UNKNOWN:
        robot.send(robot.task.expert(robot.arm))
        potential.append(robot.privileged.phi)
        stalled += robot.privileged.stalled
    return potential, stalled


@pytest.mark.parametrize("seed", range(6))
def test_the_tube_goes_in_swiftly_and_every_step_is_progress(tube: SimRobot, seed: int) -> None:
    potential, stalled = expert_run(tube, seed)
    assert tube.privileged.outcome is Outcome.SUCCESS
    assert len(potential) < 50
    assert stalled == 0
    assert np.diff(potential).min() > -tube.task.phi_resolution


@pytest.mark.parametrize("seed", range(4))
def test_the_eggplant_gets_into_the_pot(eggplant: SimRobot, seed: int) -> None:
    potential, stalled = expert_run(eggplant, seed)
    assert eggplant.privileged.outcome is Outcome.SUCCESS
    assert stalled == 0
    assert potential[-1] > -0.06 > potential[0]


def push_down(robot: SimRobot, off_m: float) -> float:
    """Hover `off_m` beside the hole's axis, then only push down; returns the mean force of the last second, N."""
    robot.reset(1)
    for t in range(90):
        offset = robot.task.estimate(robot.arm)
        action = robot.task.expert(robot.arm)
        action[0] = np.clip((offset[0] + off_m - (robot.arm.target - robot.arm.pose())[0]) / 0.03, -1, 1)
        if t > 40:
            action[:] = [0, 0, -1, 0, 0, 0, -1]
        elif offset[2] > -0.012:
            action[2] = 0.5
        robot.send(action)
    return float(robot.observe().wrench[2])


def test_a_tube_set_down_beside_the_hole_is_held_by_the_rim(tube: SimRobot) -> None:
    force_n = push_down(tube, 0.004)
    assert abs(tube.task.estimate(tube.arm)[2]) < 0.003
    assert force_n == pytest.approx(3000.0 * tube.task.limits.push_limit_m, abs=8.0)
    assert tube.privileged.stalled
    assert tube.privileged.help_needed
    assert tube.privileged.outcome is Outcome.UNKNOWN


def test_the_same_push_on_the_axis_goes_in(tube: SimRobot) -> None:
    push_down(tube, 0.0)
    assert tube.privileged.outcome is Outcome.SUCCESS


def test_centring_alone_is_progress(tube: SimRobot) -> None:
    tube.reset(2)
    before = tube.privileged.phi
    for _ in range(5):
        action = tube.task.expert(tube.arm)
        action[2] = 0.0
        tube.send(action)
    assert tube.privileged.phi > before + 5 * tube.task.phi_resolution


def test_failure_modes_of_the_eggplant(eggplant: SimRobot) -> None:
    eggplant.reset(0)
    joint = eggplant.arm.model.joint(eggplant.arm.model.body("eggplant").jntadr[0]).qposadr[0]
    eggplant.arm.data.qpos[joint] = 1.2
    eggplant.send(np.zeros(7))
    assert eggplant.observe().outcome is Outcome.FAILURE
    assert eggplant.privileged.failure == "drop"
    eggplant.reset(0)
    for _ in range(eggplant.max_steps):
        action = eggplant.task.expert(eggplant.arm)
        action[6] = 1.0
        eggplant.send(action)
    assert eggplant.privileged.failure == "wrong_grasp"


@pytest.fixture(scope="module")
def board() -> SimRobot:
    return make_robot("wipe_whiteboard", cameras=())


@pytest.mark.parametrize("seed", range(3))
def test_the_board_gets_clean_without_a_blow(board: SimRobot, seed: int) -> None:
    board.reset(seed)
    strongest, potential = 0.0, [board.privileged.phi]
    while board.privileged.outcome is Outcome.UNKNOWN:
        board.send(board.task.expert(board.arm))
        potential.append(board.privileged.phi)
        strongest = max(strongest, float(np.linalg.norm(board.observe().wrench[:3])))
    assert board.privileged.outcome is Outcome.SUCCESS
    assert strongest < 40.0
    assert potential[0] < -1.0
    assert potential[-1] > -0.1
    assert np.diff(potential).min() > -board.task.phi_resolution


def test_a_board_is_wiped_only_with_enough_force(board: SimRobot) -> None:
    left = board.spec.proprio_names.index("priv/marks_left")
    for press_m, wiped in ((0.0015, False), (0.010, True)):
        board.reset(0)
        for _ in range(60):
            action = board.task.expert(board.arm)
            above = -board.task._to_mark(board.arm)[2]  # type: ignore[attr-defined]
            lead = (board.arm.target - board.arm.pose())[2]
            action[2] = np.clip((-above - press_m - lead) / 0.03, -1, 1)
            board.send(action)
        assert (board.observe().proprio[left] < 1.0) == wiped
        assert above < 0.001


@pytest.fixture(scope="module")
def towel() -> SimRobot:
    return make_robot("fold_towel", cameras=())


def test_the_towel_gets_folded_and_let_go(towel: SimRobot) -> None:
    potential, _ = expert_run(towel, 0)
    assert towel.privileged.outcome is Outcome.SUCCESS
    assert potential[0] < -0.25
    assert potential[-1] > -0.045
    assert np.diff(potential).min() > -towel.task.phi_resolution


def test_a_jaw_holds_the_cloth_only_where_it_closes_on_it(towel: SimRobot) -> None:
    pinches = slice(towel.arm.model.equality("pinch0").id, None)
    held = towel.arm.data.eq_active[pinches]
    towel.reset(1)
    for _ in range(4):
        towel.send(np.array([0, 0, 0, 0, 0, 0, -1.0]))
    assert not held.any()
    for _ in range(60):
        towel.send(towel.task.expert(towel.arm))
        if held.any():
            break
    assert 1 <= held.sum() <= 3
    for _ in range(12):
        towel.send(np.array([0, 0, 0.7, 0, 0, 0, -1.0]))
    assert towel.task.carried(towel.arm)
    assert abs(towel.task.estimate(towel.arm)[5]) < 0.03
    for _ in range(10):
        towel.send(np.array([0, 0, 0, 0, 0, 0, 1.0]))
    assert not held.any()
    assert towel.task.estimate(towel.arm)[5] < -0.05
