"""Wipe the whiteboard: rub two scrawls off a board of 60 cells with the eraser in the hand.

A cell is clean once the eraser covers it with more than 3 N between eraser and board. The arm is soft along z
(1 kN/m), so that it lands at 0.05 m/s and pushes with 20 N at most. Units: m, rad, N; the potential is in shares of
the marks.

Potential: -(share of the marks that is left + 0.2 per metre to the nearest + 0.5 per metre above the board): small
enough that a mark wiped off is progress wherever the next one is.
"""

from __future__ import annotations

from math import cos, sin

import mujoco
import numpy as np

from episodes.record import Array
from robot_io.sim.arm import Arm, ArmLimits
from robot_io.sim.scene import cell_xml
from robot_io.sim.task import action_towards

COLUMNS, ROWS = 10, 6
CELL_M = 0.02
BOARD_HALF_M = (0.13, 0.09, 0.01)
ERASER_HALF_M = (0.02, 0.035, 0.012)
WIPING_N = 3.0
SOFT_N_PER_M = 1000.0
SCRAWL_CELLS = (6, 13)
"""fewest, and one more than most, of each of the two scrawls"""
CLEAN = 0.95
"""share of the marks that must be gone"""

GAP_WEIGHT = 0.2
HEIGHT_WEIGHT = 0.5

CLOSED = -1.0
PRESS_M = 0.010
"""how far below the board the expert aims"""
HOVER_M = 0.03
OVER_M = 0.03
"""the expert comes down within this distance of a mark"""
NEAR_M = 0.020


class WipeWhiteboard:
    """Scene, randomisation, marks, success, potential and expert of wiping the board."""

    slug = "wipe_whiteboard"
    instruction = "wipe the marks off the whiteboard"
    limits = ArmLimits(
        push_limit_m=0.020,
        low=(0.34, -0.16, -0.02, -0.12, -0.12, -0.25),
        high=(0.66, 0.16, 0.20, 0.12, 0.12, 0.25),
    )
    time_limit_s = 20.0
    gripper_locked = True
    phi_resolution = 0.01
    estimate_names: tuple[str, ...] = (
        *(f"priv/marks_d{a}" for a in "xyz"),
        *(f"priv/marks_spread_{a}" for a in "xy"),
        "priv/marks_left",
    )
    estimate_units: tuple[str, ...] = ("m", "m", "m", "m", "m", "0..1")
    estimate_noise: tuple[float, ...] = (0.002, 0.002, 0.002, 0.002, 0.002, 0.0)

    def scene_xml(self) -> str:
        """The board (a mocap body) with a flat site for each cell, and the eraser fixed to the hand."""
        x, y, z = BOARD_HALF_M
        ex, ey, ez = ERASER_HALF_M
        cells = "".join(
            f'<site type="box" name="cell{i}" size=".009 .009 .0004" pos="{cx} {cy} {z}" rgba=".1 .1 .6 1"/>'
            for i, (cx, cy) in enumerate(_grid())
        )
        felt = 'solref=".03 1" solimp=".3 .95 .004" friction=".5 .005 .0001" priority="1"'
        return cell_xml(
            f"""<body name="board" pos=".5 0 0" mocap="true">
  <geom name="board" type="box" size="{x} {y} {z}" rgba=".95 .95 .95 1"/>{cells}</body>""",
            tool=f'<geom name="eraser" type="box" size="{ex} {ey} {ez}" pos="0 0 .165" rgba=".8 .4 .1 1" mass=".03" '
            f"{felt}/>",
            vertical_n_per_m=SOFT_N_PER_M,
            third_view_deg=45.0,
        )

    def reset(self, arm: Arm, random: np.random.Generator) -> None:
        """Tool within 5 cm, board within 3 cm, 1 cm of height and 0.1 rad, two scrawls of 6 to 12 cells."""
        start = [0.48 + random.uniform(-0.05, 0.05), random.uniform(-0.05, 0.05), 0.12]
        arm.place(np.array(start), 0.0, 0.0)
        place = [0.5 + random.uniform(-0.03, 0.03), random.uniform(-0.03, 0.03), 0.02 + random.uniform(-0.01, 0.01)]
        turn = random.uniform(-0.1, 0.1)
        arm.data.mocap_pos[0], arm.data.mocap_quat[0] = place, [cos(turn / 2), 0.0, 0.0, sin(turn / 2)]
        self._left = _scrawl(random) | _scrawl(random)
        self._marks = int(self._left.sum())
        arm.settle(25)
        self._paint(arm)

    def react(self, arm: Arm) -> None:
        """What the eraser covers with enough force is clean."""
        if _pressing(arm) > WIPING_N:
            away = np.abs((_cells(arm) - arm.position()) @ arm.rotation())
            covered = np.all(away[:, :2] < ERASER_HALF_M[:2], axis=1)
            if (covered & self._left).any():
                self._left &= ~covered
                self._paint(arm)

    def estimate(self, arm: Arm) -> Array:
        """(6,) from the eraser's face to the middle of what is left, its spread (sd) in x and y, and the share left."""
        left = self._gaps(arm)[self._left] if self._left.any() else self._to_mark(arm)[None]
        return np.concatenate([left.mean(axis=0), left.std(axis=0)[:2], [self._share()]])

    def potential(self, arm: Arm) -> float:
        """-(share left + 0.2 / m to the nearest mark + 0.5 / m above the board); 0 when clean."""
        if not self._left.any():
            return 0.0
        gap = self._to_mark(arm)
        return -(self._share() + GAP_WEIGHT * float(np.hypot(*gap[:2])) + HEIGHT_WEIGHT * max(-float(gap[2]), 0.0))

    def succeeded(self, arm: Arm, force_n: float) -> bool:
        """Clean enough."""
        return self._share() <= 1.0 - CLEAN

    def lost(self, arm: Arm) -> bool:
        """Never: the eraser is fixed to the hand and the board to the table."""
        return False

    def carried(self, arm: Arm) -> bool:
        """Always."""
        return True

    def lying(self, arm: Arm) -> bool:
        """Never."""
        return False

    def failure_mode(self, arm: Arm, *, stalled: bool) -> str:
        """An eraser that rubs where nothing is left is jammed; one that still wipes ran out of time."""
        return "jam" if stalled else "timeout"

    def near_contact(self, arm: Arm) -> bool:
        """Less than 2 cm above the board."""
        return bool(-self._to_mark(arm)[2] < NEAR_M)

    def expert(self, arm: Arm) -> Array:
        """To the nearest mark, down when over it, and along the board with a steady push."""
        gap, pose = self._to_mark(arm), arm.pose()
        over = float(np.hypot(*gap[:2])) < OVER_M
        touching = -float(gap[2]) < NEAR_M
        move = np.append(gap[:2], gap[2] + (-PRESS_M if over or touching else HOVER_M))
        return action_towards(arm, pose + np.concatenate([move, -pose[3:]]), CLOSED)

    def _to_mark(self, arm: Arm) -> Array:
        """(3,) from the middle of the eraser's face to the nearest mark; straight down when none is left."""
        gaps = self._gaps(arm)
        if not self._left.any():
            return np.array([0.0, 0.0, gaps[0, 2]])
        left = gaps[self._left]
        return np.asarray(left[np.argmin(np.hypot(left[:, 0], left[:, 1]))])

    def _gaps(self, arm: Arm) -> Array:
        """(60, 3) from the middle of the eraser's face to each cell."""
        return _cells(arm) - arm.position() + [0.0, 0.0, ERASER_HALF_M[2]]

    def _share(self) -> float:
        return float(self._left.sum()) / self._marks

    def _paint(self, arm: Arm) -> None:
        """Show the marks that are left."""
        first = arm.model.site("cell0").id
        arm.model.site_rgba[first : first + len(self._left), 3] = self._left


def _grid() -> Array:
    """(60, 2) centres of the cells on the board, m."""
    columns, rows = np.meshgrid(np.arange(COLUMNS), np.arange(ROWS), indexing="ij")
    return np.stack([columns.ravel() - (COLUMNS - 1) / 2, rows.ravel() - (ROWS - 1) / 2], axis=1) * CELL_M


def _cells(arm: Arm) -> Array:
    """(60, 3) centres of the cells, base frame."""
    first = arm.model.site("cell0").id
    return np.asarray(arm.data.site_xpos[first : first + COLUMNS * ROWS])


def _scrawl(random: np.random.Generator) -> Array:
    """(60,) bool: a connected walk over the board."""
    marks = np.zeros((COLUMNS, ROWS), bool)
    at, size = random.integers([COLUMNS, ROWS]), random.integers(*SCRAWL_CELLS)
    while marks.sum() < size:
        marks[tuple(at)] = True
        at = np.clip(at + random.integers(-1, 2, 2), 0, [COLUMNS - 1, ROWS - 1])
    return marks.ravel()


def _pressing(arm: Arm) -> float:
    """Normal force between eraser and board, N: nothing else can touch the board."""
    total, force = 0.0, np.zeros(6)
    for i in np.flatnonzero((arm.data.contact.geom == arm.model.geom("board").id).any(axis=1)):
        mujoco.mj_contactForce(arm.model, arm.data, i, force)
        total += force[0]
    return total
