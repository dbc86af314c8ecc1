"""Insert the memory module: a 133 mm part into a slot with 0.4 mm of clearance, then press until it clicks.

The module is held by a soft weld (a part that slips in the hand cannot be saved by anyone). The slot's contacts are a
spring plunger, 11 kN/m: 35 N over its 3.2 mm. A module pressed that far and level is latched: a second weld takes it
over, the press is done, and what is left of the hand's push goes into the slot. Units: m, rad, N.

Potential: -(height of the module's lower edge over its seat + 2 * press still to go + 2 * lateral offset + 66 mm * turn
+ 66 mm * tilt): aligning is progress, and so is each tenth of the press.
"""

from __future__ import annotations

from math import cos, sin

import numpy as np

from episodes.record import Array
from robot_io.sim.arm import Arm, ArmLimits
from robot_io.sim.scene import cell_xml
from robot_io.sim.task import action_towards

HALF_LENGTH_M = 0.0665
HALF_THICKNESS_M = 0.0018
HALF_HEIGHT_M = 0.0155
BELOW_TOOL_M = 0.020
HANDLE_M = 0.0042
"""half the width between the pads"""
CLEARANCE_M = 0.0004
"""on each side of the module's faces"""
END_CLEARANCE_M = 0.0006
FRICTION = 0.5
FLOOR_M = 0.008
GROOVE_M = 0.020
"""height of the groove's top"""
MOUTH_M = 0.028
"""height of the guides at both ends: where the module meets the slot first"""

CONTACTS_M = 0.0145
"""height of the contacts before they are pressed"""
CONTACTS_N_PER_M = 11000.0
STROKE_M = 0.0032
SEAT_M = CONTACTS_M - STROKE_M
LEVEL_RAD = 0.02

LATERAL_WEIGHT = 2.0
PRESS_WEIGHT = 2.0

CLOSED = -1.0
ALIGNED_M = 0.0009
HOVER_M = 0.010
FUNNEL_SLOPE = 6.0
"""height over the mouth that the expert keeps for each metre of misalignment, up to the hover"""
DESCENT_STEP_M = 0.010
PRESS_STEP_M = 0.030
"""how far below the module the expert aims once it stands in the groove"""
CLEAR_OF_MOUTH_M = 0.003
IN_GROOVE_M = 0.0015
"""further off, a module that is this low stands beside the slot"""
NEAR_M = 0.020


class RamInsertion:
    """Scene, randomisation, latch, success, potential and expert of the memory module's insertion."""

    slug = "ram_insertion"
    instruction = "insert the memory module into the slot until it clicks"
    limits = ArmLimits(
        push_limit_m=0.014,
        low=(0.38, -0.12, 0.015, -0.12, -0.12, -0.25),
        high=(0.62, 0.12, 0.27, 0.12, 0.12, 0.25),
    )
    time_limit_s = 20.0
    gripper_locked = True
    phi_resolution = 0.001
    estimate_names: tuple[str, ...] = (
        *(f"priv/slot_d{a}" for a in "xyz"),
        "priv/slot_turn",
        "priv/tilt_x",
        "priv/tilt_y",
    )
    estimate_units: tuple[str, ...] = ("m", "m", "m", "rad", "rad", "rad")
    estimate_noise: tuple[float, ...] = (0.0005, 0.0005, 0.0005, 0.008, 0.008, 0.008)

    def scene_xml(self) -> str:
        """Slot (a mocap body, so that a reset can move it) with its contacts, and the module."""
        hold = 'solref=".004 1" solimp=".98 .99 .001"'
        return cell_xml(
            f"""<body name="slot" pos=".5 0 0" mocap="true">{_slot()}{_contacts()}</body>
<body name="module" pos=".45 0 .2"><freejoint/>{_module()}<site name="edge" pos="0 0 {-HALF_HEIGHT_M}" size=".001"/>
</body>""",
            equality=f'<weld name="hold" body1="hand" body2="module" {hold}/>'
            f'<weld name="latch" body1="slot" body2="module" active="false" {hold}/>',
        )

    def reset(self, arm: Arm, random: np.random.Generator) -> None:
        """Tool within 3 cm, slot within 5 cm and 0.12 rad, module up to 4 mm off and 0.05 rad tilted in the hand."""
        start = [0.46 + random.uniform(-0.03, 0.03), random.uniform(-0.03, 0.03), 0.20]
        arm.place(np.array(start), 0.0, HANDLE_M)
        arm.data.mocap_pos[0] = [0.5 + random.uniform(-0.05, 0.05), random.uniform(-0.05, 0.05), 0.0]
        turn = random.uniform(-0.12, 0.12)
        arm.data.mocap_quat[0] = [cos(turn / 2), 0.0, 0.0, sin(turn / 2)]
        _hold_module(arm, random.uniform(-0.004, 0.004), random.uniform(-0.05, 0.05))
        arm.settle(25)

    def react(self, arm: Arm) -> None:
        """The click: contacts pressed all the way by a level module."""
        if not _latched(arm) and _press_left(arm) == 0.0 and _tilt(arm) < LEVEL_RAD:
            arm.weld("latch", "slot", "module")
            arm.data.eq_active[arm.model.equality("latch").id] = 1

    def estimate(self, arm: Arm) -> Array:
        """(6,) from the middle of the module's edge to the slot's mouth, and the rotations that would align it."""
        return np.concatenate([_to_mouth(arm), [_turn(arm)], _upright(arm)])

    def potential(self, arm: Arm) -> float:
        """-(height + 2 * press + 2 * lateral + 66 mm * (turn + tilt)), m; 0 when latched."""
        if _latched(arm):
            return 0.0
        dx, dy, dz = _to_mouth(arm)
        height = max(MOUTH_M - float(dz) - SEAT_M, 0.0)
        lateral, angles = float(np.hypot(dx, dy)), abs(_turn(arm)) + _tilt(arm)
        return -(height + PRESS_WEIGHT * _press_left(arm) + LATERAL_WEIGHT * lateral + HALF_LENGTH_M * angles)

    def succeeded(self, arm: Arm, force_n: float) -> bool:
        """Latched, and level still."""
        return _latched(arm) and _tilt(arm) < LEVEL_RAD

    def lost(self, arm: Arm) -> bool:
        """Never: the weld keeps the module in the hand."""
        return False

    def carried(self, arm: Arm) -> bool:
        """Always."""
        return True

    def lying(self, arm: Arm) -> bool:
        """Never."""
        return False

    def failure_mode(self, arm: Arm, *, stalled: bool) -> str:
        """A module that stands still is jammed; one that moves ran out of time."""
        return "jam" if stalled else "timeout"

    def near_contact(self, arm: Arm) -> bool:
        """Within 2 cm of the mouth, or in it."""
        dx, dy, dz = _to_mouth(arm)
        return bool(-dz < NEAR_M and np.hypot(dx, dy) < NEAR_M)

    def expert(self, arm: Arm) -> Array:
        """Down a funnel: the better aligned, the lower the edge may be; in the groove: press."""
        offset, upright, turn = _to_mouth(arm), _upright(arm), _turn(arm)
        lateral, height = float(np.hypot(*offset[:2])), -float(offset[2])
        misaligned = float(np.hypot(lateral, HALF_LENGTH_M * np.hypot(turn, _tilt(arm)))) - ALIGNED_M
        inside = height < GROOVE_M - MOUTH_M - CLEAR_OF_MOUTH_M and lateral < IN_GROOVE_M
        move = np.array([offset[0], offset[1], min(HOVER_M + lateral, FUNNEL_SLOPE * misaligned) - height])
        if inside:
            move[2] = -PRESS_STEP_M
        elif misaligned < 0.0:
            move[2] = -DESCENT_STEP_M
        elif height < CLEAR_OF_MOUTH_M < FUNNEL_SLOPE * misaligned:
            move[:2] = 0.0
        return action_towards(arm, arm.pose() + np.concatenate([move, upright, [turn]]), CLOSED)


def _slot() -> str:
    """Base, the two walls of the groove, and a guide at each end. The slot lies along y."""
    surface = f'friction="{FRICTION} .005 .0001"'
    x, wall = HALF_THICKNESS_M + CLEARANCE_M + 0.003, (GROOVE_M - FLOOR_M) / 2
    y, guide = HALF_LENGTH_M + END_CLEARANCE_M + 0.003, (MOUTH_M - FLOOR_M) / 2
    base = f'<geom type="box" size=".02 .08 {FLOOR_M / 2}" pos="0 0 {FLOOR_M / 2}" rgba=".1 .35 .15 1"/>'
    walls = "".join(
        f'<geom type="box" size=".003 {HALF_LENGTH_M + 0.004} {wall}" pos="{side * x} 0 {FLOOR_M + wall}" '
        f'rgba=".1 .1 .1 1" {surface}/>'
        f'<geom type="box" size=".006 .003 {guide}" pos="0 {side * y} {FLOOR_M + guide}" rgba=".9 .9 .9 1" {surface}/>'
        for side in (1, -1)
    )
    return base + walls


def _contacts() -> str:
    """A bar on a spring, free to sink a little further than the click."""
    return f"""<body name="contacts" pos="0 0 {CONTACTS_M - 0.001}">
  <joint name="contacts" type="slide" axis="0 0 1" range="-.0045 0" stiffness="{CONTACTS_N_PER_M}" damping="60"
    armature=".2"/>
  <geom type="box" size=".0015 .06 .001" mass=".05" rgba=".8 .7 .2 1" friction="{FRICTION} .005 .0001"/></body>"""


def _module() -> str:
    """The board, and the block between the pads."""
    return (
        f'<geom type="box" size="{HALF_THICKNESS_M} {HALF_LENGTH_M} {HALF_HEIGHT_M}" mass=".03" rgba=".1 .5 .2 1" '
        f'condim="4" friction="{FRICTION} .01 .001"/>'
        f'<geom type="box" size="{HANDLE_M} .009 .011" pos="0 0 {BELOW_TOOL_M}" mass=".004" rgba=".5 .5 .5 1" '
        f'condim="6" friction=".9 .02 .002"/>'
    )


def _hold_module(arm: Arm, off_m: float, tilt_rad: float) -> None:
    """Put the module into the hand, `off_m` along y and tilted about the jaw's axis x, and weld it there."""
    data, model = arm.data, arm.model
    start = model.joint(model.body("module").jntadr[0]).qposadr[0]
    data.qpos[start : start + 3] = arm.position() + np.array([0.0, off_m, -BELOW_TOOL_M])
    data.qpos[start + 3 : start + 7] = [cos(tilt_rad / 2), sin(tilt_rad / 2), 0.0, 0.0]
    arm.weld("hold", "hand", "module")
    data.ctrl[6] = 0.0


def _latched(arm: Arm) -> bool:
    return bool(arm.data.eq_active[arm.model.equality("latch").id])


def _press_left(arm: Arm) -> float:
    """How much further the contacts must sink, m."""
    return max(STROKE_M + float(arm.data.joint("contacts").qpos[0]), 0.0)


def _to_mouth(arm: Arm) -> Array:
    mouth = arm.data.mocap_pos[0] + [0.0, 0.0, MOUTH_M]
    return np.asarray(mouth - arm.data.site("edge").xpos)


def _turn(arm: Arm) -> float:
    """Rotation about z that lays the module along the slot, rad (small)."""
    along, slot = arm.data.body("module").xmat.reshape(3, 3)[:, 1], arm.data.body("slot").xmat.reshape(3, 3)[:, 1]
    return float(along[0] * slot[1] - along[1] * slot[0])


def _upright(arm: Arm) -> Array:
    """(2,) rotation about base x and y that levels the module, rad (small angles)."""
    axis = arm.data.body("module").xmat.reshape(3, 3)[:, 2]
    return np.array([axis[1], -axis[0]])


def _tilt(arm: Arm) -> float:
    return float(np.hypot(*_upright(arm)))
