"""The arm at its own rate, for the record: every cycle of the worker between two steps, by name.

`t` is seconds since the episode's start on the controller's own clock, so it is when the arm was there, whatever the
network and this machine did to the packet; steps are stamped by the same clock. A cycle that had nothing new from the
controller is left out, so `t` only grows. Units: rad, m, s, N, Nm.
"""

from __future__ import annotations

from dataclasses import fields

import numpy as np

from episodes.record import Array
from robot_io.ur.messages import VECTOR, ArmState

NAMES = {
    "q": "q",
    "qd": "qd",
    "pose": "tcp",
    "velocity": "tcp_speed",
    "force": "wrench",
    "commanded": "tcp_commanded",
    "phase": "phase",
    "robot_mode": "robot_mode",
    "safety_mode": "safety_mode",
    "runtime": "runtime",
    "speed_scaling": "speed_scaling",
    "late_s": "late_s",
    "stepped_in": "stepped_in",
}
"""of the message -> in the record"""


def native_stream(rows: Array, started_s: float, after_s: float) -> dict[str, Array]:
    """(N, columns) rows of `ArmState` -> `t` (n,) float64, later than `after_s`, the rest (n,) or (n, 6) float32."""
    found: dict[str, Array] = {}
    at = 0
    for field in fields(ArmState):
        size = VECTOR if field.type == "Array" else 1
        values = rows[:, at : at + size] if size > 1 else rows[:, at]
        if field.name == "controller_s":
            found["t"] = values - started_s
        elif field.name in NAMES:
            found[NAMES[field.name]] = values.astype(np.float32)
        at += size
    before = np.maximum.accumulate(np.concatenate([[after_s], found["t"]]))[:-1]
    new = found["t"] > before
    return {name: values[new] for name, values in found.items()}
