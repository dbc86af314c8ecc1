"""Insert the tube: a 16 mm test tube, held in the gripper, into a rack hole with 0.6 mm of radial clearance.

The tube is held by a soft weld (a part that slips in the hand cannot be saved by anyone); everything else is
contact: a tube set down beside the hole sits on the rim and stays there. Units: m, rad, N.

Potential: -(height of the tip above the rack's floor + 2 * lateral offset + 45 mm * tilt), so that centring and
straightening above the hole are progress just as depth is.
"""

from __future__ import annotations

from math import cos, pi, sin, tan

import numpy as np

from episodes.record import Array
from robot_io.sim.arm import Arm, ArmLimits
from robot_io.sim.scene import cell_xml
from robot_io.sim.task import action_towards

TUBE_RADIUS_M = 0.008
TUBE_HALF_M = 0.045
TUBE_BELOW_TOOL_M = 0.020
CLEARANCE_M = 0.0006
ROUNDING_M = 0.0001
FRICTION = 0.3
FLOOR_M = 0.010
RIM_M = 0.060
WALLS = 16

INSERTED_M = 0.012
"""success: the tip is less than this above the rack's floor"""
UPRIGHT_RAD = 0.087
FORCE_MAX_N = 60.0
CENTRED_M = 0.004

LATERAL_WEIGHT = 2.0
TILT_WEIGHT_M = 0.045

CLOSED = -1.0
ALIGNED_M = 0.001
HOVER_M = 0.010
FUNNEL_SLOPE = 6.0
"""height over the rim that the expert keeps for each metre of misalignment, up to the hover"""
DESCENT_STEP_M = 0.014
"""how far ahead of the tube the expert aims on the way down"""
CLEAR_OF_RIM_M = 0.003
NEAR_M = 0.020


class TubeInsertion:
    """Scene, randomisation, success, potential and expert of the tube insertion."""

    slug = "tube_insertion"
    instruction = "insert the tube into the rack"
    limits = ArmLimits(
        push_limit_m=0.012,
        low=(0.38, -0.12, 0.045, -0.12, -0.12, -0.25),
        high=(0.62, 0.12, 0.27, 0.12, 0.12, 0.25),
    )
    time_limit_s = 15.0
    gripper_locked = True
    phi_resolution = 0.001
    estimate_names: tuple[str, ...] = ("priv/hole_dx", "priv/hole_dy", "priv/hole_dz", "priv/tilt_x", "priv/tilt_y")
    estimate_units: tuple[str, ...] = ("m", "m", "m", "rad", "rad")
    estimate_noise: tuple[float, ...] = (0.0003, 0.0003, 0.0003, 0.0, 0.0)

    def scene_xml(self) -> str:
        """Rack (a mocap body, so that a reset can move it) with a ring of walls as the hole, and the tube."""
        return cell_xml(
            f"""<body name="rack" pos=".5 0 0" mocap="true">
  <geom type="box" size=".05 .05 {FLOOR_M / 2}" pos="0 0 {FLOOR_M / 2}" rgba=".75 .75 .8 1"/>{_hole()}</body>
<body name="tube" pos=".45 0 .2"><freejoint/>{_tube()}<site name="tip" pos="0 0 {-TUBE_HALF_M}" size=".001"/></body>""",
            equality='<weld name="hold" body1="hand" body2="tube" solref=".004 1" solimp=".98 .99 .001"/>',
        )

    def reset(self, arm: Arm, random: np.random.Generator) -> None:
        """Tool within 3 cm, hole within 5 cm, tube up to 4 mm off and 0.04 rad tilted in the hand."""
        start = [0.45 + random.uniform(-0.03, 0.03), random.uniform(-0.03, 0.03), 0.20]
        arm.place(np.array(start), 0.0, TUBE_RADIUS_M)
        arm.data.mocap_pos[0] = [0.5 + random.uniform(-0.05, 0.05), random.uniform(-0.05, 0.05), 0.0]
        _hold_tube(arm, random.uniform(-0.004, 0.004), random.uniform(-0.04, 0.04))
        arm.settle(25)

    def react(self, arm: Arm) -> None:
        """Nothing: the tube only obeys contact."""

    def estimate(self, arm: Arm) -> Array:
        """(5,) from the tip to the centre of the hole's top, and the rotation that would stand the tube up."""
        return np.concatenate([_to_hole(arm), _upright(arm)])

    def potential(self, arm: Arm) -> float:
        """-(depth still to go + 2 * lateral + 45 mm * tilt), m."""
        dx, dy, dz = _to_hole(arm)
        lateral, tilt = float(np.hypot(dx, dy)), float(np.hypot(*_upright(arm)))
        return -(max(RIM_M - float(dz) - FLOOR_M, 0.0) + LATERAL_WEIGHT * lateral + TILT_WEIGHT_M * tilt)

    def succeeded(self, arm: Arm, force_n: float) -> bool:
        """Deep enough, in this hole, upright, and not by force."""
        dx, dy, dz = _to_hole(arm)
        deep = RIM_M - dz - FLOOR_M < INSERTED_M
        upright = float(np.hypot(*_upright(arm))) < UPRIGHT_RAD
        return deep and upright and float(np.hypot(dx, dy)) < CENTRED_M and force_n < FORCE_MAX_N

    def lost(self, arm: Arm) -> bool:
        """Never: the weld keeps the tube in the hand."""
        return False

    def carried(self, arm: Arm) -> bool:
        """Always."""
        return True

    def lying(self, arm: Arm) -> bool:
        """Never."""
        return False

    def failure_mode(self, arm: Arm, *, stalled: bool) -> str:
        """A tube that stands still is jammed; one that moves ran out of time."""
        return "jam" if stalled else "timeout"

    def near_contact(self, arm: Arm) -> bool:
        """Within 2 cm of the hole's top, or in it."""
        dx, dy, dz = _to_hole(arm)
        return bool(-dz < NEAR_M and np.hypot(dx, dy) < NEAR_M)

    def expert(self, arm: Arm) -> Array:
        """Down a funnel: the nearer the axis, the lower the tip may be; off centre at the rim: up first."""
        offset, upright = _to_hole(arm), _upright(arm)
        lateral, height = float(np.hypot(*offset[:2])), -float(offset[2])
        misaligned = float(np.hypot(lateral, TILT_WEIGHT_M * np.hypot(*upright))) - ALIGNED_M
        inside = height < -CLEAR_OF_RIM_M and lateral < 2 * CLEARANCE_M
        move = np.array([offset[0], offset[1], min(HOVER_M + lateral, FUNNEL_SLOPE * misaligned) - height])
        if inside or misaligned < 0.0:
            move[2] = max(FLOOR_M - RIM_M - height, -DESCENT_STEP_M)
        elif height < CLEAR_OF_RIM_M < FUNNEL_SLOPE * misaligned:
            move[:2] = 0.0
        turn = np.array([upright[0], upright[1], -arm.pose()[5]])
        return action_towards(arm, arm.pose() + np.concatenate([move, turn]), CLOSED)


def _tube() -> str:
    """A cylinder whose lower end is rounded: it slides off the rim when nearly centred, and sits on it when not."""
    straight = TUBE_HALF_M - ROUNDING_M / 2
    surface = f'rgba=".95 .55 .1 1" condim="4" friction="{FRICTION} .01 .001"'
    return (
        f'<geom type="cylinder" size="{TUBE_RADIUS_M} {straight}" pos="0 0 {ROUNDING_M / 2}" mass=".014" {surface}/>'
        f'<geom type="ellipsoid" size="{TUBE_RADIUS_M} {TUBE_RADIUS_M} {ROUNDING_M}" '
        f'pos="0 0 {ROUNDING_M - TUBE_HALF_M}" mass=".001" {surface}/>'
    )


def _hole() -> str:
    """Sixteen boxes around the clearance circle; their flat tops are the rim."""
    half = 0.008
    centre, width = TUBE_RADIUS_M + CLEARANCE_M + half, (TUBE_RADIUS_M + CLEARANCE_M + 2 * half) * tan(pi / WALLS)
    height = (RIM_M - FLOOR_M) / 2
    return "".join(
        f'<geom type="box" size="{half} {width} {height}" pos="{centre * cos(a)} {centre * sin(a)} {FLOOR_M + height}" '
        f'euler="0 0 {a}" rgba=".2 .3 .8 1" friction="{FRICTION} .005 .0001"/>'
        for a in (2 * pi * k / WALLS for k in range(WALLS))
    )


def _hold_tube(arm: Arm, off_m: float, tilt_rad: float) -> None:
    """Put the tube into the hand, `off_m` along the jaw and tilted about x, and weld it there."""
    data, model = arm.data, arm.model
    start = model.joint(model.body("tube").jntadr[0]).qposadr[0]
    data.qpos[start : start + 3] = arm.position() + np.array([0.0, off_m, -TUBE_BELOW_TOOL_M])
    data.qpos[start + 3 : start + 7] = [cos(tilt_rad / 2), sin(tilt_rad / 2), 0.0, 0.0]
    arm.weld("hold", "hand", "tube")
    data.ctrl[6] = 0.0


def _to_hole(arm: Arm) -> Array:
    top = arm.data.mocap_pos[0] + [0.0, 0.0, RIM_M]
    return np.asarray(top - arm.data.site("tip").xpos)


def _upright(arm: Arm) -> Array:
    """(2,) rotation about base x and y that stands the tube up, rad (small angles)."""
    axis = arm.data.body("tube").xmat.reshape(3, 3)[:, 2]
    return np.array([axis[1], -axis[0]])
