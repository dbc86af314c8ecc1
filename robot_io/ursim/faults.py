"""Faults by name, one line each on port 30020: `silence 2.6`, `protective_stop`, `clear`.

The answer is one line of JSON: `{"ok": true, ...}` or `{"error": "..."}`. Faults of the link and of the wire last
until `clear`; those of the robot are states of it, which leave as they do on a real one. Seconds are the controller's.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Protocol

import numpy as np

from robot_io.ursim.cell import Cell
from robot_io.ursim.cell_port import CameraFault
from robot_io.ursim.controller import Controller
from robot_io.ursim.link import LinkFault
from robot_io.ursim.modes import RobotMode, SafetyMode
from robot_io.ursim.services import ServiceFault

DASHBOARD, SCRIPT, RTDE = 29999, 30003, 30004
ROBOT_PORTS = (DASHBOARD, SCRIPT, RTDE)


class Ports(Protocol):
    """The network, as far as a fault breaks it."""

    def listen(self) -> None: ...
    def drop(self, ports: tuple[int, ...], *, reset: bool) -> None: ...
    def close_ports(self, ports: tuple[int, ...]) -> None: ...


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: its arguments' types, what it does, and what it is for a person."""

    does: Callable[..., object]
    told: str
    takes: tuple[Callable[[str], Any], ...] = ()
    words: str = ""


def _reset_fields(thing: object) -> None:
    """Back to nothing wrong, in the object that connections look at."""
    fresh = type(thing)()
    for field in fields(thing):  # type: ignore[arg-type]
        value = getattr(fresh, field.name)
        if field.name == "rtde":
            _reset_fields(getattr(thing, field.name))
        else:
            setattr(thing, field.name, value)


class FaultPort:
    """The fault port of one simulated controller."""

    def __init__(
        self,
        robot: Controller,
        cell: Cell,
        service: ServiceFault,
        links: Mapping[int, LinkFault],
        camera: CameraFault,
    ) -> None:
        self._robot, self._cell, self._service, self._camera = robot, cell, service, camera
        self._links = {port: links[port] for port in ROBOT_PORTS}
        self._breaks: list[Callable[[Ports], None]] = []
        self._reopens_at_s = math.inf
        self.faults: Mapping[str, Fault] = {**self._of_link(), **self._of_wire(), **self._of_robot(), **self._of_cell()}

    def answer(self, line: str) -> bytes:
        """Do what a line says."""
        name, *given = line.split()
        fault = self.faults.get(name)
        if name == "list":
            return _json(
                {"ok": True, "faults": {key: f"{one.words} {one.told}".strip() for key, one in self.faults.items()}}
            )
        if fault is None:
            return _json({"error": f"there is no fault {name!r}; `list` names them all"})
        try:
            arguments = [take(text) for take, text in zip(fault.takes, given, strict=True)]
        except ValueError:
            return _json({"error": f"{line!r} does not say enough or too much; type {name} {fault.words}".strip()})
        fault.does(*arguments)
        return _json({"ok": True, "time_s": self._robot.time_s, "fault": line})

    def tick(self, ports: Ports) -> None:
        """Break and mend what a line asked for."""
        while self._breaks:
            self._breaks.pop(0)(ports)
        if self._robot.time_s >= self._reopens_at_s:
            self._reopens_at_s = math.inf
            ports.listen()

    def clear(self) -> None:
        """Everything but the robot's own state is well again."""
        for thing in (self._service, self._camera, *self._links.values()):
            _reset_fields(thing)
        self._cell.pushed = np.zeros(6)
        self._robot.remote = True
        self._reopens_at_s = self._robot.time_s

    def _of_link(self) -> dict[str, Fault]:
        return {
            "clear": Fault(self.clear, "mend link, wire, cell and cameras"),
            "rst": Fault(lambda: self._break(ROBOT_PORTS, reset=True), "every connection is reset"),
            "fin": Fault(lambda: self._break(ROBOT_PORTS, reset=False), "every connection is ended"),
            "restart": Fault(self._restart, "the controller is away for a while", (float,), "SECONDS"),
            "silence": Fault(self._silence, "nothing passes for a while", (float,), "SECONDS"),
            "half_open": Fault(self._each("dead", True), "nothing passes any more, and nobody is told"),
            "drip": Fault(lambda: self._set_each("segment_bytes", 1), "one byte a tick goes out"),
            "segments": Fault(lambda n: self._set_each("segment_bytes", n), "pieces of N bytes", (int,), "N"),
            "late": Fault(lambda s: self._set_each("late_s", s), "answers come late", (float,), "SECONDS"),
            "dashboard_dead": Fault(lambda: self._set_link(DASHBOARD, "dead", True), "the dashboard is silent"),
            "dashboard_late": Fault(
                lambda s: self._set_link(DASHBOARD, "late_s", s), "the dashboard answers late", (float,), "SECONDS"
            ),
        }

    def _of_wire(self) -> dict[str, Fault]:
        wire = self._service.rtde
        return {
            "wrong_version": Fault(lambda: setattr(wire, "accepts_version", False), "RTDE 2 is refused"),
            "not_found": Fault(
                lambda name: setattr(wire, "hidden", wire.hidden | {name}), "an output is missing", (str,), "NAME"
            ),
            "in_use": Fault(lambda: setattr(wire, "taken", True), "every input is taken, as by a fieldbus"),
            "no_start": Fault(lambda: setattr(wire, "starts", False), "the start of data is refused"),
            "no_data": Fault(lambda: setattr(wire, "mute", True), "no data packages, the link is fine"),
            "recipe_shift": Fault(lambda n: setattr(wire, "recipe_shift", n), "data of another recipe", (int,), "N"),
            "undersized": Fault(lambda n: setattr(wire, "cut", n), "data packages are N bytes short", (int,), "N"),
            "oversized": Fault(lambda n: setattr(wire, "cut", -n), "data packages are N bytes long", (int,), "N"),
            "frozen_time": Fault(lambda: setattr(wire, "freeze_time", True), "the timestamp stands"),
            "frozen_values": Fault(lambda: setattr(wire, "freeze_values", True), "values stand, time goes on"),
            "time_jump": Fault(lambda s: setattr(wire, "time_shift_s", s), "the timestamp jumps", (float,), "SECONDS"),
            "spoil": Fault(self._spoil, "an output's first number is replaced", (str, float), "NAME NUMBER"),
            "text_flood": Fault(lambda n: setattr(self._service, "texts_a_tick", n), "N messages a tick", (int,), "N"),
            "script_ignored": Fault(lambda: setattr(self._service, "ignores_scripts", True), "no script starts"),
            "dashboard_garbled": Fault(lambda: setattr(self._service, "garbles_dashboard", True), "backwards answers"),
        }

    def _of_robot(self) -> dict[str, Fault]:
        robot = self._robot
        return {
            "local_control": Fault(lambda: setattr(robot, "remote", False), "somebody took remote control away"),
            "slider": Fault(
                lambda f: setattr(robot.drive, "slider", f), "the speed slider, 0 to 1", (float,), "FRACTION"
            ),
            "pause": Fault(robot.pause, "the program is paused at the pendant"),
            "resume": Fault(robot.resume, "and goes on"),
            "stop_program": Fault(lambda: robot.stop_program("stopped at the pendant"), "the program is stopped"),
            "safeguard": Fault(lambda: robot.safeguard_stop(True), "somebody is in the light curtain"),
            "safeguard_free": Fault(lambda: robot.safeguard_stop(False), "and leaves it"),
            "protective_stop": Fault(lambda: robot.protective_stop("injected"), "protective stop"),
            "emergency_stop": Fault(robot.emergency_stop, "the red button"),
            "emergency_release": Fault(robot.release_emergency_stop, "the red button is pulled out"),
            "violation": Fault(lambda: robot.emergency_stop(SafetyMode.VIOLATION), "a safety violation"),
            "fault": Fault(lambda: robot.emergency_stop(SafetyMode.FAULT), "a safety fault"),
            "power_off": Fault(robot.power_off, "the power is cut"),
            "idle": Fault(self._idle, "the brakes close, power stays"),
        }

    def _of_cell(self) -> dict[str, Fault]:
        camera = self._camera
        return {
            "push": Fault(self._push, "the sensor reads this force more, N", (float, float, float), "FX FY FZ"),
            "camera_gone": Fault(lambda: setattr(camera, "gone", True), "no frame comes"),
            "camera_frozen": Fault(lambda: setattr(camera, "frozen", True), "the same image, with new numbers"),
            "camera_black": Fault(lambda: setattr(camera, "black", True), "black images"),
            "camera_late": Fault(
                lambda s: setattr(camera, "late_s", s), "images of some time ago", (float,), "SECONDS"
            ),
            "camera_gap": Fault(lambda n: setattr(camera, "gap", n), "N frame numbers are left out", (int,), "N"),
            "camera_size": Fault(lambda n: setattr(camera, "size_px", n), "another size", (int,), "PIXELS"),
        }

    def _break(self, ports: tuple[int, ...], *, reset: bool) -> None:
        self._breaks.append(lambda network: network.drop(ports, reset=reset))

    def _restart(self, seconds: float) -> None:
        def away(network: Ports) -> None:
            network.close_ports(ROBOT_PORTS)
            network.drop(ROBOT_PORTS, reset=True)

        self._robot.stop_program("the controller restarts")
        self._breaks.append(away)
        self._reopens_at_s = self._robot.time_s + seconds

    def _silence(self, seconds: float) -> None:
        self._set_each("silent_until_s", self._robot.time_s + seconds)

    def _each(self, name: str, value: Any) -> Callable[[], None]:
        return lambda: self._set_each(name, value)

    def _set_each(self, name: str, value: Any) -> None:
        for port in self._links:
            self._set_link(port, name, value)

    def _set_link(self, port: int, name: str, value: Any) -> None:
        setattr(self._links[port], name, value)

    def _spoil(self, name: str, number: float) -> None:
        self._service.rtde.spoiled = {**self._service.rtde.spoiled, name: number}

    def _idle(self) -> None:
        self._robot.power_off("brakes closed", RobotMode.IDLE)

    def _push(self, *force: float) -> None:
        self._cell.pushed = np.array([*force, 0.0, 0.0, 0.0])


def _json(told: Mapping[str, Any]) -> bytes:
    return json.dumps(told).encode() + b"\n"
