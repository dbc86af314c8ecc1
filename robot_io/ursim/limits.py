"""When the controller stops the arm by itself. Pure; the numbers are UR's factory presets where public.

The sudden-change limit stands for the path sanity check (C204): how far its true threshold is from this one is not
known. rad, m, s, N.
"""

from __future__ import annotations

import numpy as np

from episodes.record import Array
from robot_io.ur.kinematics import SPAN_RAD

JOINT_SPEED_RAD_S = 3.34
"""191 degrees a second"""
JOINT_CHANGE_RAD_S2 = 100.0
TOOL_SPEED_M_S = 1.5
TOOL_FORCE_N = 150.0


def overstepped(q: Array, qd: Array, qdd: Array, tool_speed_m_s: float, force_n: float) -> str:
    """Why a target (6,) x 3 with this tool speed and measured force has to stop; empty where it may go on."""
    if np.abs(q).max() > SPAN_RAD:
        return f"C207A{int(np.argmax(np.abs(q)))}: joint position limit"
    if np.abs(qd).max() > JOINT_SPEED_RAD_S:
        return f"C271A{int(np.argmax(np.abs(qd)))}: joint speed limit"
    if np.abs(qdd).max() > JOINT_CHANGE_RAD_S2:
        return f"C204A{int(np.argmax(np.abs(qdd)))}: path sanity check, sudden change of the target"
    if tool_speed_m_s > TOOL_SPEED_M_S:
        return "C284A0: tool speed limit"
    if force_n > TOOL_FORCE_N:
        return "C153A0: tool force limit"
    return ""
