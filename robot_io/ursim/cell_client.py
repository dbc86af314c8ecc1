"""The cell beside a simulated controller, over its port 30010: what `UrRobot` needs, and what the scripted person sees.

The person's part (potential, stall, what an expert does) no lab has; no model reads it.
"""

from __future__ import annotations

import json
import socket
from typing import Any, Protocol

import numpy as np

from episodes.errors import DeviceError, UsageError
from episodes.record import Array, Outcome
from robot_io.sim.robot import Privileged
from robot_io.ur.cell import Sensed

PORT = 30010
TIMEOUT_S = 10.0
"""the first frame of a cell takes seconds: its renderer starts"""


class Aims(Protocol):
    """Whoever has an impedance target."""

    target: Array


class CellClient:
    """One connection."""

    def __init__(self, host: str) -> None:
        self._place = f"{host}:{PORT}"
        try:
            self._socket = socket.create_connection((host, PORT), timeout=TIMEOUT_S)
        except OSError as error:
            raise self._silent(error) from error
        self._file = self._socket.makefile("rb")
        self._told: dict[str, Any] = {}

    def close(self) -> None:
        """Let go of it."""
        self._file.close()
        self._socket.close()

    def load(self, task: str) -> None:
        """The task in the cell, where another one is there; to be called first."""
        if self._ask("tasks")["task"] != task:
            self._ask(f"task {task}")
        self.sense()

    def reset(self, seed: int) -> None:
        """The scene of that episode, and the arm with it."""
        self._told = self._ask(f"reset {seed}")

    def grip(self, command: float) -> None:
        """-1 closed to 1 open."""
        self._ask(f"gripper {command}")

    def sense(self) -> Sensed:
        """Gripper, tracker, referee."""
        told = self._told = self._ask("state")
        return Sensed(
            opening=told["opening"], estimate=np.array(told["estimate"], float), outcome=Outcome(told["outcome"])
        )

    def frame(self, camera: str, image_px: int) -> Array:
        """(image_px, image_px, 3) uint8 RGB, of now."""
        head = self._ask(f"frame {camera} {image_px}")
        data = self._read(head["bytes"])
        if head["shape"] != [image_px, image_px, 3]:
            raise DeviceError(f"camera {camera} at {self._place} gives frames of {head['shape']}; set it to {image_px}")
        return np.frombuffer(data, np.uint8).reshape(head["shape"])

    def still_s(self) -> float:
        """For how long the arm has stood, controller seconds."""
        self.sense()
        return float(self._told["time_s"] - self._told["moved_at_s"])

    @property
    def privileged(self) -> Privileged:
        """What the simulator knew when the cell was sensed last."""
        told = self._told
        return Privileged(
            phi=told["phi"],
            phi_resolution=told["phi_resolution"],
            stalled=told["stalled"],
            help_needed=told["help_needed"],
            outcome=Outcome(told["outcome"]),
            failure=told["failure"],
        )

    # --- the scripted person's eyes ----------------------------------------------------------------------------------

    @property
    def phi_resolution(self) -> float:
        """The smallest change of the potential that counts."""
        return float(self._told["phi_resolution"])

    def carried(self, arm: Aims) -> bool:
        """The object was in the hand."""
        return bool(self._told["carried"])

    def lying(self, arm: Aims) -> bool:
        """The object was where it does not belong."""
        return bool(self._told["lying"])

    def near_contact(self, arm: Aims) -> bool:
        """The tool was near what it must not hit."""
        return bool(self._told["near_contact"])

    def expert(self, arm: Aims) -> Array:
        """(7,) what an expert who sees everything does next."""
        target = " ".join(f"{number:.9f}" for number in arm.target)
        return np.array(self._ask(f"expert {target}")["action"], float)

    def _ask(self, line: str) -> dict[str, Any]:
        try:
            self._socket.sendall(line.encode() + b"\n")
            answer = self._file.readline()
        except OSError as error:
            raise self._silent(error) from error
        if not answer.endswith(b"\n"):
            raise self._silent("it ended the connection")
        told: dict[str, Any] = json.loads(answer)
        if "error" in told:
            raise UsageError(f"the cell at {self._place} says: {told['error']}")
        return told

    def _read(self, count: int) -> bytes:
        try:
            data = self._file.read(count)
        except OSError as error:
            raise self._silent(error) from error
        if len(data) < count:
            raise self._silent("it ended within a frame")
        return data

    def _silent(self, why: object) -> DeviceError:
        return DeviceError(f"the cell at {self._place} does not answer ({why}); is it a simulated controller, and on?")
