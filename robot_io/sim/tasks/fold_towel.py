"""Fold the towel: take one edge of a 26 cm cloth by its middle, lay it on the opposite edge, mend the corners.

The cloth is a MuJoCo flex of 9 x 9 vertices; it meets the table alone. A jaw that closes on the cloth pinches the
nearest vertex and those beside it (connect constraints), and opens to let go. Units: m, rad, N.

Potential: -(mean distance of the edge's vertices from those they belong on + 20 mm and a fifth of the way to the next
grasp while the jaw is empty and the edges are apart).
"""

from __future__ import annotations

from math import cos, pi, sin

import numpy as np

from episodes.record import Array
from robot_io.sim.arm import Arm, ArmLimits
from robot_io.sim.scene import CLOTH, OPENING_MAX_M, cell_xml
from robot_io.sim.task import action_towards

VERTICES = 9
SIDE_M = 0.26
SPACING_M = SIDE_M / (VERTICES - 1)
PINCH_M = 0.022
"""reach of the jaw around the tool point"""
PINCHED = 3
"""vertices that a pinch holds at most"""
JAW_CLOSED_M = 0.0125
JAW_OPEN_M = 0.025

FOLDED_M = 0.045
FLAT_M = 0.050
EMPTY_M = 0.02
REACH_WEIGHT = 0.2

HALF_FOLDED_M = 0.12
"""mean distance below which single vertices are mended instead of the whole edge"""
GRASP_HEIGHT_M = 0.009
INWARD_M = 0.008
OVER_M = 0.006
HOVER_M = 0.05
FUNNEL_SLOPE = 4.0
LAY_HEIGHT_M = 0.012
ARC = 0.85
"""height of the way over, in half its length"""
STRIDE = 0.05
"""share of the half circle that the expert aims ahead"""
LAID_M = 0.022
LOW_M = 0.045
"""the expert lets go this near and this low: a towel need not be pressed onto the table"""
LET_GO = 0.6
"""by how much it opens in one step, of the command's range of 2"""
NEAR_M = 0.03
OPEN, CLOSED, AJAR = 1.0, -1.0, 0.2


class FoldTowel:
    """Scene, randomisation, pinch, success, potential and expert of folding the towel."""

    slug = "fold_towel"
    instruction = "fold the towel in half"
    limits = ArmLimits(
        push_limit_m=0.020,
        low=(0.30, -0.24, 0.005, -0.12, -0.12, -0.4),
        high=(0.70, 0.24, 0.30, 0.12, 0.12, 0.4),
    )
    time_limit_s = 25.0
    gripper_locked = False
    phi_resolution = 0.003
    estimate_names: tuple[str, ...] = (
        *(f"priv/{point}_d{a}" for point in ("left", "middle", "right") for a in "xyz"),
        *(f"priv/{point}_fold_d{a}" for point in ("left", "middle", "right") for a in "xyz"),
    )
    estimate_units: tuple[str, ...] = ("m",) * 18
    estimate_noise: tuple[float, ...] = (0.003,) * 18

    def scene_xml(self) -> str:
        """The cloth on the table, and for each vertex a constraint that a pinch switches on."""
        grid = f'count="{VERTICES} {VERTICES} 1" spacing="{SPACING_M} {SPACING_M} .01"'
        return cell_xml(
            f"""<flexcomp name="cloth" type="grid" {grid} pos=".5 0 .004" radius=".003" mass=".06" dim="2"
  rgba=".2 .5 .8 1">
  <elasticity young="3e4" poisson="0.2" thickness=".004" elastic2d="both" damping=".01"/>
  <contact contype="8" conaffinity="8" selfcollide="none" condim="3" friction=".8 .01 .001" solref=".01 1"/>
</flexcomp>""",
            equality="".join(
                f'<connect name="pinch{i}" body1="hand" body2="cloth_{i}" anchor="0 0 .165" active="false" '
                f'solref=".02 1"/>'
                for i in range(VERTICES**2)
            ),
            third_view_deg=50.0,
            physics=CLOTH,
        )

    def reset(self, arm: Arm, random: np.random.Generator) -> None:
        """Tool within 3 cm, towel within 3 cm and turned up to 0.25 rad."""
        arm.place(np.array([0.45 + random.uniform(-0.03, 0.03), random.uniform(-0.03, 0.03), 0.15]), 0.0, OPENING_MAX_M)
        turn, shift = random.uniform(-0.25, 0.25), random.uniform(-0.03, 0.03, 2)
        centre = np.array([0.5, 0.0])
        flat = _cloth(arm)[..., :2].reshape(-1, 2)
        rotation = np.array([[cos(turn), -sin(turn)], [sin(turn), cos(turn)]])
        moved = (flat - centre) @ rotation.T + centre + shift - flat
        first = arm.model.body("cloth_0").jntadr[0]
        start = arm.model.jnt_qposadr[first]
        arm.data.qpos[start : start + 3 * len(flat)].reshape(-1, 3)[:, :2] = moved
        self._held: list[int] = []
        arm.settle(10)

    def react(self, arm: Arm) -> None:
        """A jaw that has closed on the cloth pinches it, and lets go when it opens."""
        if self._held and arm.opening_m > JAW_OPEN_M:
            self._hold(arm, [])
        elif not self._held and arm.opening_m < JAW_CLOSED_M and arm.jaw_m() < JAW_CLOSED_M:
            self._hold(arm, _within_jaw(arm))

    def estimate(self, arm: Arm) -> Array:
        """(18,) from the tool to three points of the edge, and from each to where it belongs."""
        cloth, points = _cloth(arm), [0, VERTICES // 2, VERTICES - 1]
        edge, goal = cloth[points, 0], cloth[points, -1]
        return np.concatenate([(edge - arm.position()).ravel(), (goal - edge).ravel()])

    def potential(self, arm: Arm) -> float:
        """-(mean distance between the edges + what an empty jaw still has to reach), m."""
        apart = float(_apart(arm).mean())
        if self._held or apart < FOLDED_M:
            return -apart
        return -(apart + EMPTY_M + REACH_WEIGHT * float(np.linalg.norm(_grasp(arm) - arm.position())))

    def succeeded(self, arm: Arm, force_n: float) -> bool:
        """Edge on edge, flat, and let go."""
        return not self._held and _apart(arm).mean() < FOLDED_M and bool(_cloth(arm)[..., 2].max() < FLAT_M)

    def lost(self, arm: Arm) -> bool:
        """The towel's middle is where the tool may not go."""
        middle = _cloth(arm)[..., :2].mean(axis=(0, 1))
        return bool(np.any(middle < np.array(self.limits.low[:2])) or np.any(middle > np.array(self.limits.high[:2])))

    def carried(self, arm: Arm) -> bool:
        """Pinched, and clearly lifted."""
        return bool(self._held) and bool(arm.position()[2] > FLAT_M)

    def lying(self, arm: Arm) -> bool:
        """Never: a towel that was let go lies where it may be taken again."""
        return False

    def failure_mode(self, arm: Arm, *, stalled: bool) -> str:
        """Never held: a wrong grasp; else it stands still or ran out of time."""
        if not self._held and _apart(arm).mean() > 2 * HALF_FOLDED_M - FOLDED_M:
            return "wrong_grasp"
        return "jam" if stalled else "timeout"

    def near_contact(self, arm: Arm) -> bool:
        """Less than 3 cm over the table."""
        return bool(arm.position()[2] < NEAR_M)

    def expert(self, arm: Arm) -> Array:
        """Holding: over to where it belongs. Folded: up. Else: to the next grasp."""
        if self._held:
            return self._carry(arm)
        if _apart(arm).mean() < FOLDED_M:
            return _go(arm, np.array([0.0, 0.0, 0.02]), OPEN)
        return _reach(arm)

    def _carry(self, arm: Arm) -> Array:
        """Along a flat half circle, as far as the angle already travelled says; laid down: let go."""
        row = round(float(np.mean([i // VERTICES for i in self._held])))
        way = (_cloth(arm)[row, -1] - arm.position())[:2]
        left = float(np.hypot(*way))
        if left < LAID_M and arm.position()[2] < LOW_M:
            return _go(arm, np.zeros(3), min(2.0 * arm.jaw_m() / OPENING_MAX_M - 1.0 + LET_GO, OPEN))
        radius = SIDE_M / 2
        angle = min(np.arccos(np.clip(left / radius - 1.0, -1.0, 1.0)) + pi * STRIDE, pi)
        ahead = radius * (1.0 + cos(angle))
        along = way * (1.0 - ahead / max(left, ahead, 1e-6))
        height = LAY_HEIGHT_M + ARC * radius * sin(angle)
        return _go(arm, np.append(along, height - arm.position()[2]), CLOSED)

    def _hold(self, arm: Arm, vertices: list[int]) -> None:
        """Pinch these vertices where they are now, and no others."""
        hand, first = arm.data.body("hand"), arm.model.equality("pinch0").id
        arm.data.eq_active[first : first + VERTICES**2] = 0
        for i in vertices:
            vertex = arm.data.body(f"cloth_{i}").xpos
            arm.model.eq_data[first + i, :3] = hand.xmat.reshape(3, 3).T @ (vertex - hand.xpos)
            arm.model.eq_data[first + i, 3:6] = 0.0
            arm.data.eq_active[first + i] = 1
        self._held = vertices


def _cloth(arm: Arm) -> Array:
    """(9, 9, 3) vertices; [:, 0] is the edge to be taken, [:, -1] the one that it belongs on."""
    first = arm.model.body("cloth_0").id
    return np.array(arm.data.xpos[first : first + VERTICES**2]).reshape(VERTICES, VERTICES, 3)


def _apart(arm: Arm) -> Array:
    """(9,) horizontal distance of each vertex of the edge from where it belongs."""
    cloth = _cloth(arm)
    return np.asarray(np.linalg.norm((cloth[:, 0] - cloth[:, -1])[:, :2], axis=1))


def _grasp(arm: Arm) -> Array:
    """(3,) where to pinch next: the edge's middle, or on a towel half folded the vertex that is furthest off."""
    cloth, apart = _cloth(arm), _apart(arm)
    row = VERTICES // 2 if apart.mean() > HALF_FOLDED_M else int(apart.argmax())
    inward = (cloth[row, 1] - cloth[row, 0])[:2]
    place = cloth[row, 0].copy()
    place[:2] += INWARD_M * inward / max(float(np.hypot(*inward)), 1e-6)
    return np.asarray(place)


def _within_jaw(arm: Arm) -> list[int]:
    """The nearest vertex and its neighbours, as far as the jaw reaches; none when it closes on air."""
    distance = np.linalg.norm(_cloth(arm).reshape(-1, 3) - arm.position(), axis=1)
    nearest = int(distance.argmin())
    row, column = np.divmod(np.arange(VERTICES**2), VERTICES)
    beside = np.maximum(abs(row - nearest // VERTICES), abs(column - nearest % VERTICES)) <= 1
    inside = np.flatnonzero(beside & (distance < PINCH_M))
    return [int(i) for i in inside[np.argsort(distance[inside])][:PINCHED]]


def _reach(arm: Arm) -> Array:
    """Down a funnel onto the grasp, and close there."""
    tool = arm.position()
    move = _grasp(arm) - tool
    lateral = float(np.hypot(*move[:2]))
    move[2] = GRASP_HEIGHT_M + min(FUNNEL_SLOPE * max(lateral - OVER_M, 0.0), HOVER_M) - tool[2]
    return _go(arm, move, CLOSED if lateral < OVER_M and tool[2] < GRASP_HEIGHT_M + OVER_M else AJAR)


def _go(arm: Arm, move: Array, gripper: float) -> Array:
    """The action that moves the tool by `move` (3,) and keeps it upright."""
    pose = arm.pose()
    return action_towards(arm, pose + np.concatenate([move, -pose[3:]]), gripper)
