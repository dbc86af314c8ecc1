"""One RTDE connection: what it asks and what it is sent. Pure: bytes in, bytes out; `server` has the sockets.

Requests are answered in order. Recipes are numbered 1, 2, 3... a connection, outputs and inputs apart, as clients
count on. Data packages flow only after `start`, every `round(500 Hz / frequency)` ticks.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import isfinite

from robot_io.ursim import variables
from robot_io.ursim.controller import DT_S, Controller
from robot_io.ursim.registers import INPUT_TYPES
from robot_io.ursim.wire import PROTOCOL_VERSION, Kind, Packages, Recipe, WireError, names_in, package

IN_USE, NOT_FOUND = "IN_USE", "NOT_FOUND"
FREQUENCY = struct.Struct(">d")
SPEED_SLIDER = 1
"""bit of the slider's mask"""


@dataclass(slots=True)
class Distortion:
    """What a fault does to a connection's answers; nothing by default."""

    accepts_version: bool = True
    starts: bool = True
    hidden: frozenset[str] = frozenset()
    """outputs that are not found"""
    taken: bool = False
    """every input is in use"""
    recipe_shift: int = 0
    """added to the recipe's number in data packages"""
    cut: int = 0
    """bytes missing at the end of data packages, or where negative too many"""
    freeze_values: bool = False
    """old values, and the timestamp goes on"""
    freeze_time: bool = False
    """the timestamp stands, and values go on"""
    time_shift_s: float = 0.0
    spoiled: Mapping[str, float] = field(default_factory=dict)
    """output -> what its first number is replaced by"""
    mute: bool = False
    """no data packages"""


class Session:
    """One connection's side of the protocol."""

    def __init__(self, robot: Controller, distortion: Distortion | None = None) -> None:
        self.robot, self.distortion = robot, distortion or Distortion()
        self.started = False
        self._packages = Packages()
        self._inputs: dict[int, Recipe] = {}
        self._output: Recipe | None = None
        self._every = 1
        self._last: dict[str, object] = {}

    def feed(self, data: bytes) -> bytes:
        """Answers to what arrived. `WireError` where the connection cannot be made sense of."""
        answers: Mapping[int, Callable[[bytes], bytes]] = {
            Kind.PROTOCOL: self._protocol,
            Kind.CONTROLLER: self._controller,
            Kind.OUTPUTS: self._outputs,
            Kind.INPUTS: self._take_inputs,
            Kind.START: self._start,
            Kind.PAUSE: self._pause,
            Kind.DATA: self._write,
            Kind.TEXT: lambda _: b"",
        }
        parts = []
        for kind, payload in self._packages.feed(data):
            if kind not in answers:
                raise WireError(f"a package of the unknown kind {kind}")
            parts.append(answers[kind](payload))
        return b"".join(parts)

    def publish(self) -> bytes:
        """The data package of this tick, if one is due."""
        if not self.started or self._output is None or self.distortion.mute or self.robot.ticks % self._every:
            return b""
        values = variables.values(self._output.names, self.robot)
        payload = self._output.pack([self._distorted(*pair) for pair in zip(self._output.names, values, strict=True)])
        return self._damaged(payload)

    def close(self) -> None:
        """Give back what this connection owned."""
        self.robot.registers.release(self)

    def _protocol(self, payload: bytes) -> bytes:
        accepted = payload == struct.pack(">H", PROTOCOL_VERSION) and self.distortion.accepts_version
        return package(Kind.PROTOCOL, bytes([accepted]))

    def _controller(self, _: bytes) -> bytes:
        return package(Kind.CONTROLLER, struct.pack(">4I", *self.robot.version))

    def _outputs(self, payload: bytes) -> bytes:
        if len(payload) < FREQUENCY.size:
            raise WireError("an output request without a frequency")
        frequency = FREQUENCY.unpack_from(payload)[0]
        names = names_in(payload[FREQUENCY.size :])
        types = [self._type(name) for name in names]
        self._output = Recipe(1, names, types) if NOT_FOUND not in types else None
        self._every = max(1, round(1.0 / DT_S / frequency)) if frequency > 0.0 else 1
        return package(Kind.OUTPUTS, bytes([self._output is not None]) + ",".join(types).encode())

    def _type(self, name: str) -> str:
        found = variables.found(name, self.robot)
        return NOT_FOUND if found is None or name in self.distortion.hidden else found.kind

    def _take_inputs(self, payload: bytes) -> bytes:
        names = names_in(payload)
        types = [self._claimed(name) for name in names]
        number = len(self._inputs) + 1
        if IN_USE in types or NOT_FOUND in types:
            return package(Kind.INPUTS, b"\0" + ",".join(types).encode())
        self._inputs[number] = Recipe(number, names, types)
        return package(Kind.INPUTS, bytes([number]) + ",".join(types).encode())

    def _claimed(self, name: str) -> str:
        if name not in INPUT_TYPES:
            return NOT_FOUND
        free = not self.distortion.taken and self.robot.registers.claim(name, self)
        return INPUT_TYPES[name] if free else IN_USE

    def _start(self, _: bytes) -> bytes:
        self.started = self._output is not None and self.distortion.starts
        return package(Kind.START, bytes([self.started]))

    def _pause(self, _: bytes) -> bytes:
        self.started = False
        return package(Kind.PAUSE, b"\1")

    def _write(self, payload: bytes) -> bytes:
        recipe = self._inputs.get(payload[0]) if payload else None
        if recipe is None or len(payload) != recipe.size:
            self.robot.say(f"an input package of {len(payload)} bytes fits no recipe; it was ignored")
            return b""
        written = dict(zip(recipe.names, recipe.unpack(payload), strict=True))
        for name, value in written.items():
            if "register" in name:
                self.robot.registers.write(name, value, self.robot.time_s)
        self._set_outputs(written)
        return b""

    def _set_outputs(self, written: Mapping[str, float]) -> None:
        robot = self.robot
        if int(written.get("speed_slider_mask", 0)) & SPEED_SLIDER:
            robot.drive.slider = min(1.0, max(0.0, float(written["speed_slider_fraction"])))
        for name, shift in (("standard", 0), ("configurable", 8), ("tool", 16)):
            mask = int(written.get(f"{name}_digital_output_mask", 0)) << shift
            level = int(written.get(f"{name}_digital_output", 0)) << shift
            robot.outputs.digital = (robot.outputs.digital & ~mask) | (level & mask)
        for index in range(2):
            if int(written.get("standard_analog_output_mask", 0)) & (1 << index):
                robot.outputs.analog[index] = float(written[f"standard_analog_output_{index}"])

    def _distorted(self, name: str, value: object) -> object:
        given = self.distortion
        if name == "timestamp":
            value = self._last.get(name, value) if given.freeze_time else self.robot.time_s + given.time_shift_s
        elif given.freeze_values:
            value = self._last.get(name, value)
        self._last[name] = value
        if name in given.spoiled:
            wrong = given.spoiled[name]
            if isinstance(value, int):
                return int(wrong) if isfinite(wrong) else value
            return [wrong, *value[1:]] if isinstance(value, list) else wrong
        return value

    def _damaged(self, payload: bytes) -> bytes:
        payload = bytes([(payload[0] + self.distortion.recipe_shift) % 256]) + payload[1:]
        cut = self.distortion.cut
        payload = payload[:-cut] if cut > 0 else payload + bytes(-cut)
        return package(Kind.DATA, payload)
