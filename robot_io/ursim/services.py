"""What answers on the controller's ports: RTDE, dashboard, script upload, and lines of text for the two of our own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from robot_io.ursim.controller import Controller
from robot_io.ursim.dashboard import GREETING, Dashboard
from robot_io.ursim.program import program
from robot_io.ursim.rtde import Distortion, Session
from robot_io.ursim.script import Programs, Script
from robot_io.ursim.wire import text_package

LONGEST_LINE = 10_000


@dataclass(slots=True)
class ServiceFault:
    """What is wrong with the controller's services; nothing by default."""

    rtde: Distortion = field(default_factory=Distortion)
    ignores_scripts: bool = False
    garbles_dashboard: bool = False
    texts_a_tick: int = 0


class RtdeService:
    """A connection to port 30004."""

    def __init__(self, robot: Controller, fault: ServiceFault) -> None:
        self._session, self._fault = Session(robot, fault.rtde), fault

    def opened(self) -> bytes:
        return b""

    def feed(self, data: bytes) -> bytes:
        return self._session.feed(data)

    def publish(self) -> bytes:
        texts = text_package("flood", "fault") * self._fault.texts_a_tick if self._session.started else b""
        return texts + self._session.publish()

    def closed(self) -> None:
        self._session.close()


class ScriptService:
    """A connection to port 30003; the controller never answers on it."""

    def __init__(self, robot: Controller, fault: ServiceFault) -> None:
        self._robot, self._fault, self._programs = robot, fault, Programs()

    def opened(self) -> bytes:
        return b""

    def feed(self, data: bytes) -> bytes:
        for script in self._programs.feed(data):
            self._start(script)
        return b""

    def publish(self) -> bytes:
        return b""

    def closed(self) -> None:
        """A program goes on without whoever sent it."""

    def _start(self, script: Script) -> None:
        if not self._fault.ignores_scripts:
            self._robot.start_program(lambda: program(self._robot, script))


class LineService:
    """A connection where each line is answered: `answer` takes a line and returns what goes back, end included."""

    def __init__(self, answer: Callable[[str], bytes], greeting: bytes = b"") -> None:
        self._answer, self._greeting, self._waiting = answer, greeting, b""

    def opened(self) -> bytes:
        return self._greeting

    def feed(self, data: bytes) -> bytes:
        *lines, rest = (self._waiting + data).split(b"\n")
        self._waiting = rest[-LONGEST_LINE:]
        return b"".join(self._answer(line.decode("utf-8", "replace").strip()) for line in lines if line.strip())

    def publish(self) -> bytes:
        return b""

    def closed(self) -> None:
        """Nothing is kept of it."""


def dashboard_service(robot: Controller, fault: ServiceFault) -> LineService:
    """A connection to port 29999."""
    dashboard = Dashboard(robot)

    def answer(line: str) -> bytes:
        told = dashboard.answer(line)
        return (told[::-1] if fault.garbles_dashboard else told).encode() + b"\n"

    return LineService(answer, GREETING.encode() + b"\n")
