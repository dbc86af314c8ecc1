"""Between the arm's base and the axes that tasks, episodes and people speak of. m, rad.

The task's axes are the base's, turned by half a turn about z. A *tool pose* is six numbers: the tool point in the
task's axes, and the rotation vector from the tool-down orientation, as in the simulation.
"""

from __future__ import annotations

import numpy as np

from episodes.record import Array
from robot_io.ur import kinematics

BASE_TO_TASK = np.diag([-1.0, -1.0, 1.0])
TOOL_DOWN = np.diag([1.0, -1.0, -1.0])
"""the tool's axes in the task's, pointing down"""


def tool_pose(tool: Array) -> Array:
    """(4, 4) the tool in the base -> (6,) tool pose."""
    turned = BASE_TO_TASK @ tool[:3, :3]
    return np.concatenate([BASE_TO_TASK @ tool[:3, 3], kinematics.rotation_vector(turned @ TOOL_DOWN)])


def tool_in_base(pose: Array) -> Array:
    """(6,) tool pose -> (4, 4) the tool in the base."""
    made = np.eye(4)
    made[:3, :3] = BASE_TO_TASK @ kinematics.rotation(pose[3:]) @ TOOL_DOWN
    made[:3, 3] = BASE_TO_TASK @ pose[:3]
    return made


def in_task(vector: Array) -> Array:
    """(6,) a velocity or a wrench in the base's axes -> in the task's."""
    return np.concatenate([BASE_TO_TASK @ vector[:3], BASE_TO_TASK @ vector[3:]])
