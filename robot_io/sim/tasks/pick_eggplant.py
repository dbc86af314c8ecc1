"""Put the eggplant into the pot: reach, turn, grasp, carry, let go. Nothing is welded; a poor grasp slips.

Units: m, rad. The eggplant's *turn* is the rotation about z that would lay the jaw across it.

Potential: -(work at the hand + work of the eggplant). The hand's is the distance to the grasp, with 50 mm a radian
of turn; it is done once the eggplant is in the pot. The eggplant's is its way up to the height at which it is
carried, over to the pot and down.
"""

from __future__ import annotations

from math import cos, pi, sin, tan

import numpy as np

from episodes.record import Array
from robot_io.sim.arm import Arm, ArmLimits
from robot_io.sim.scene import OPENING_MAX_M, cell_xml
from robot_io.sim.task import action_towards

POT_RADIUS_M = 0.08
POT_HEIGHT_M = 0.05
POT_WALLS = 12
IN_POT_M = 0.065
"""the eggplant's centre is at most this far from the pot's axis"""
REST_M = 0.03
CARRY_M = 0.12
"""height of the eggplant on its way, and from which it is let go"""
TURN_WEIGHT_M = 0.05
REACH_M = 0.025

GRASP_HEIGHT_M = 0.020
GRASP_SLACK_M = 0.008
HOVER_M = 0.09
OVER_M = 0.010
TURNED_RAD = 0.12
FUNNEL_SLOPE = 4.0
"""height over the grasp that the expert keeps for each metre of misplacement, up to the hover"""
GRIPPED_M = (0.012, 0.028)
"""finger travel with the eggplant between the pads"""
DROP_ZONE_M = 0.03
OPEN, CLOSED = 1.0, -1.0


class PickEggplant:
    """Scene, randomisation, success, potential and expert of picking the eggplant."""

    slug = "pick_eggplant"
    instruction = "put the eggplant into the pot"
    limits = ArmLimits(
        push_limit_m=0.020,
        low=(0.36, -0.22, 0.015, -0.12, -0.12, -1.2),
        high=(0.64, 0.22, 0.30, 0.12, 0.12, 1.2),
    )
    time_limit_s = 12.0
    gripper_locked = False
    phi_resolution = 0.001
    estimate_names: tuple[str, ...] = (
        *(f"priv/eggplant_d{a}" for a in "xyz"),
        "priv/eggplant_turn",
        *(f"priv/pot_d{a}" for a in "xyz"),
    )
    estimate_units: tuple[str, ...] = ("m", "m", "m", "rad", "m", "m", "m")
    estimate_noise: tuple[float, ...] = (0.004, 0.004, 0.002, 0.05, 0.004, 0.004, 0.002)

    def scene_xml(self) -> str:
        """An eggplant of two ellipsoids and a stem, and a pot (a mocap body) of twelve walls."""
        skin = 'rgba=".35 .1 .45 1" condim="6" friction=".8 .02 .002"'
        return cell_xml(
            f"""<body name="pot" pos=".5 .13 0" mocap="true">
  <geom type="cylinder" size="{POT_RADIUS_M} .002" pos="0 0 .002" rgba=".5 .5 .55 1"/>{_walls()}</body>
<body name="eggplant" pos=".5 -.1 .03"><freejoint/>
  <geom type="ellipsoid" size=".05 .021 .021" mass=".06" {skin}/>
  <geom type="ellipsoid" size=".028 .024 .024" pos=".022 0 0" mass=".04" {skin}/>
  <geom type="capsule" fromto="-.05 0 0 -.065 0 0" size=".006" mass=".005" rgba=".2 .6 .2 1"/></body>""",
            third_view_deg=50.0,
        )

    def reset(self, arm: Arm, random: np.random.Generator) -> None:
        """Eggplant anywhere in 12 x 11 cm and turned up to 0.7 rad, pot within 3 cm, tool within 4 cm."""
        start = [0.48 + random.uniform(-0.04, 0.04), random.uniform(-0.06, 0.02), 0.20]
        arm.place(np.array(start), 0.0, OPENING_MAX_M)
        arm.data.mocap_pos[0] = [0.5 + random.uniform(-0.03, 0.03), 0.13 + random.uniform(-0.02, 0.02), 0.0]
        yaw = random.uniform(-0.7, 0.7) + pi / 2
        place = [0.5 + random.uniform(-0.06, 0.06), random.uniform(-0.15, -0.04), 0.026]
        joint = arm.model.joint(arm.model.body("eggplant").jntadr[0]).qposadr[0]
        arm.data.qpos[joint : joint + 7] = [*place, cos(yaw / 2), 0.0, 0.0, sin(yaw / 2)]
        self._start = np.array(place)
        arm.settle(100)

    def react(self, arm: Arm) -> None:
        """Nothing: the eggplant only obeys contact."""

    def estimate(self, arm: Arm) -> Array:
        """(7,) tool to eggplant, its turn, tool to the middle of the pot's rim."""
        rim = arm.data.mocap_pos[0] + [0.0, 0.0, POT_HEIGHT_M]
        tool = arm.position()
        return np.concatenate([_eggplant(arm) - tool, [_turn(arm)], rim - tool])

    def potential(self, arm: Arm) -> float:
        """-(hand's work + eggplant's work), m."""
        return -(self._carry_left(arm) if self._in_pot(arm) else self._reach_left(arm) + self._carry_left(arm))

    def succeeded(self, arm: Arm, force_n: float) -> bool:
        """In the pot and let go."""
        return self._in_pot(arm) and arm.jaw_m() > GRIPPED_M[1]

    def lost(self, arm: Arm) -> bool:
        """Off the table, or where the tool may not go."""
        eggplant, margin = _eggplant(arm), 0.03
        low, high = np.array(self.limits.low[:2]) - margin, np.array(self.limits.high[:2]) + margin
        return bool(eggplant[2] < 0.0 or np.any(eggplant[:2] < low) or np.any(eggplant[:2] > high))

    def carried(self, arm: Arm) -> bool:
        """In the jaw and clearly lifted."""
        return _gripped(arm) and bool(_eggplant(arm)[2] > POT_HEIGHT_M)

    def lying(self, arm: Arm) -> bool:
        """Low, out of the jaw, and not in the pot."""
        return not _gripped(arm) and bool(_eggplant(arm)[2] < POT_HEIGHT_M) and not self._in_pot(arm)

    def failure_mode(self, arm: Arm, *, stalled: bool) -> str:
        """Where the eggplant and the jaw ended up."""
        if self.lost(arm):
            return "drop"
        if _gripped(arm):
            return "jam" if stalled else "timeout"
        if float(np.linalg.norm(_eggplant(arm)[:2] - self._start[:2])) > 0.05:
            return "slip"
        return "wrong_grasp" if arm.position()[2] < 2 * HOVER_M else "timeout"

    def near_contact(self, arm: Arm) -> bool:
        """Fingers around the eggplant, or low over the table."""
        return bool(arm.position()[2] < HOVER_M)

    def expert(self, arm: Arm) -> Array:
        """Over the pot: let go. Eggplant in the jaw: carry. Else: reach, turn, go down, close."""
        if _to_pot(arm) < DROP_ZONE_M:
            return _go(arm, np.array([0.0, 0.0, 0.02]), 0.0, OPEN)
        if _gripped(arm):
            return self._carry(arm)
        return self._reach(arm)

    def _carry(self, arm: Arm) -> Array:
        """Up first, then over."""
        eggplant = _eggplant(arm)
        move = np.append(arm.data.mocap_pos[0][:2] - eggplant[:2], CARRY_M - eggplant[2])
        if eggplant[2] < POT_HEIGHT_M + REACH_M:
            move[:2] = 0.0
        return _go(arm, move, 0.0, CLOSED)

    def _reach(self, arm: Arm) -> Array:
        """Down a funnel: the better placed over the eggplant, the lower the fingers may be."""
        tool = arm.position()
        move, turn = _eggplant(arm) - tool, _turn(arm)
        misplaced = max(float(np.hypot(*move[:2])) - OVER_M, 0.0) + TURN_WEIGHT_M * max(abs(turn) - TURNED_RAD, 0.0)
        move[2] = GRASP_HEIGHT_M + min(FUNNEL_SLOPE * misplaced, HOVER_M) - tool[2]
        around = misplaced == 0.0 and tool[2] < GRASP_HEIGHT_M + GRASP_SLACK_M
        return _go(arm, move, turn, CLOSED if around else OPEN)

    def _in_pot(self, arm: Arm) -> bool:
        return bool(_to_pot(arm) < IN_POT_M and _eggplant(arm)[2] < POT_HEIGHT_M + 0.02)

    def _reach_left(self, arm: Arm) -> float:
        distance = float(np.linalg.norm(_eggplant(arm) - arm.position()))
        return max(distance - REACH_M, 0.0) + TURN_WEIGHT_M * abs(_turn(arm))

    def _carry_left(self, arm: Arm) -> float:
        height, over = float(_eggplant(arm)[2]), _to_pot(arm)
        if over < POT_RADIUS_M:
            return over + max(height - REST_M, 0.0)
        return over + max(CARRY_M - height, 0.0) + CARRY_M - REST_M


def _walls() -> str:
    centre, width = POT_RADIUS_M + 0.003, (POT_RADIUS_M + 0.006) * tan(pi / POT_WALLS)
    height = POT_HEIGHT_M / 2
    return "".join(
        f'<geom type="box" size=".003 {width} {height}" pos="{centre * cos(a)} {centre * sin(a)} {height}" '
        f'euler="0 0 {a}" rgba=".5 .5 .55 1"/>'
        for a in (2 * pi * k / POT_WALLS for k in range(POT_WALLS))
    )


def _eggplant(arm: Arm) -> Array:
    return np.array(arm.data.body("eggplant").xpos)


def _turn(arm: Arm) -> float:
    """Rotation about z that lays the jaw across the eggplant, within a quarter turn either way."""
    along = arm.data.body("eggplant").xmat.reshape(3, 3)[:, 0]
    turn = np.arctan2(along[1], along[0]) - pi / 2 - arm.pose()[5]
    return float((turn + pi / 2) % pi - pi / 2)


def _to_pot(arm: Arm) -> float:
    """Horizontal distance of the eggplant from the pot's axis."""
    return float(np.linalg.norm(_eggplant(arm)[:2] - arm.data.mocap_pos[0][:2]))


def _gripped(arm: Arm) -> bool:
    near = float(np.linalg.norm(_eggplant(arm) - arm.position())) < REACH_M + 0.01
    return near and GRIPPED_M[0] < arm.jaw_m() < GRIPPED_M[1]


def _go(arm: Arm, move: Array, turn_rad: float, gripper: float) -> Array:
    """The action that moves the tool by `move` (3,), turns it about z and keeps it upright."""
    pose = arm.pose()
    rotation = [-pose[3], -pose[4], turn_rad]
    return action_towards(arm, pose + np.concatenate([move, rotation]), gripper)
