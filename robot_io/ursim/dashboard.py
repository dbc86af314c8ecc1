"""The dashboard server's side of port 29999: a line in, a line out, in the exact words that clients look for."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from robot_io.ursim.controller import UNLOCK_AFTER_S, Controller
from robot_io.ursim.modes import Runtime, SafetyMode

GREETING = "Connected: Universal Robots Dashboard Server"
SERIAL = "20235500001"
MODEL = "UR5"
PROGRAM = "/programs/empty.urp"


class Dashboard:
    """Answers for one controller."""

    def __init__(self, robot: Controller) -> None:
        self.robot = robot
        self._answers: Mapping[str, Callable[[], str]] = {
            "PolyscopeVersion": lambda: f"URSoftware {robot.version} (simulated)",
            "version": lambda: f"URSoftware {robot.version} (simulated)",
            "get serial number": lambda: SERIAL,
            "get robot model": lambda: MODEL,
            "get loaded program": lambda: f"Loaded program: {PROGRAM}",
            "is in remote control": lambda: str(robot.remote).lower(),
            "isProgramSaved": lambda: f"True {PROGRAM}",
            "robotmode": lambda: f"Robotmode: {robot.robot_mode.name}",
            "safetymode": lambda: f"Safetymode: {robot.safety_mode.name}",
            "safetystatus": lambda: f"Safetystatus: {robot.safety_mode.name}",
            "running": lambda: f"Program running: {str(robot.runtime is Runtime.PLAYING).lower()}",
            "programState": self._program_state,
            "play": lambda: "Starting program" if robot.resume() else "Failed to execute: play",
            "pause": lambda: "Pausing program" if robot.pause() else "Failed to execute: pause",
            "stop": self._stop,
            "power on": lambda: self._told(robot.power_on, "Powering on"),
            "power off": lambda: self._told(robot.power_off, "Powering off"),
            "brake release": lambda: self._told(robot.release_brakes, "Brake releasing"),
            "unlock protective stop": self._unlock,
            "restart safety": lambda: self._told(robot.restart_safety, "Restarting safety"),
            "close safety popup": lambda: "closing safety popup",
            "close popup": lambda: "closing popup",
            "shutdown": lambda: "Shutting down",
            "quit": lambda: "Disconnected",
        }

    def answer(self, line: str) -> str:
        """What the server says to one line, without its end."""
        line = line.strip()
        if line in self._answers:
            return self._answers[line]()
        if line.startswith("popup "):
            return "showing popup"
        if line.startswith("addToLog "):
            return "Added log message"
        if line.startswith("load "):
            return f"Loading program: {line.removeprefix('load ')}"
        if line.startswith("setUserRole "):
            return f"Setting user role: {line.removeprefix('setUserRole ')}"
        return f"could not understand: '{line}'"

    def _told(self, verb: Callable[[], None], answer: str) -> str:
        verb()
        return answer

    def _stop(self) -> str:
        self.robot.stop_program("stopped at the dashboard")
        return "Stopped"

    def _program_state(self) -> str:
        name = {Runtime.PLAYING: "PLAYING", Runtime.PAUSED: "PAUSED"}.get(self.robot.runtime, "STOPPED")
        return f"{name} {PROGRAM.rsplit('/', 1)[-1]}"

    def _unlock(self) -> str:
        if self.robot.safety_mode is not SafetyMode.PROTECTIVE_STOP or self.robot.unlock():
            return "Protective stop releasing"
        return (
            f"Cannot unlock protective stop until {UNLOCK_AFTER_S:.0f}s after occurrence. "
            "Always inspect cause of protective stop before unlocking"
        )
