"""What the genuine `ur_rtde` client finds at a controller, as JSON; in a process of its own, for it can end one."""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

import numpy as np
from dashboard_client import DashboardClient
from rtde_control import RTDEControlInterface
from rtde_io import RTDEIOInterface
from rtde_receive import RTDEReceiveInterface

HZ = 125.0
CYCLES = 1000


class Arm:
    """All four interfaces of the client on one controller."""

    def __init__(self, host: str) -> None:
        self.receive, self.control = RTDEReceiveInterface(host), RTDEControlInterface(host)
        self.io, self.dashboard = RTDEIOInterface(host), DashboardClient(host)
        self.dashboard.connect()

    def q(self) -> np.ndarray:
        return np.array(self.receive.getActualQ())

    def pose(self) -> np.ndarray:
        return np.array(self.receive.getActualTCPPose())


def off(found: Any, wanted: Any) -> float:
    return float(np.abs(np.asarray(found) - wanted).max())


def looks(arm: Arm) -> dict[str, Any]:
    receive, dashboard = arm.receive, arm.dashboard
    return {
        "version": dashboard.polyscopeVersion(),
        "remote": dashboard.isInRemoteControl(),
        "robotmode": dashboard.robotmode(),
        "modes": [receive.getRobotMode(), receive.getSafetyMode(), receive.getRuntimeState()],
        "joint_modes": receive.getJointMode(),
        "script_runs": arm.control.isProgramRunning(),
        "payload": receive.getPayload(),
    }


def moves(arm: Arm) -> dict[str, Any]:
    goal = arm.q() + np.array([0.05, 0.0, 0.0, 0.0, 0.0, 0.1])
    done = [arm.control.moveJ(goal.tolist(), 2.0, 10.0)]
    off_joints = off(arm.q(), goal)
    lifted = arm.pose() + np.array([0.0, 0.0, 0.02, 0.0, 0.0, 0.0])
    done.append(arm.control.moveL(lifted.tolist(), 0.5, 2.0))
    off_pose = off(arm.pose()[:3], lifted[:3])
    path = [[*(goal + 0.02), 2.0, 10.0, 0.0], [*goal, 2.0, 10.0, 0.0]]
    done.append(arm.control.moveJ(path, False))
    return {"done": done, "off_joints": off_joints, "off_pose": off_pose, "off_path": off(arm.q(), goal)}


def streams(arm: Arm) -> dict[str, Any]:
    """Servo to a joint target and lift the tool at a speed, for as many cycles as it takes."""
    control, start = arm.control, arm.q()
    told = [control.setWatchdog(0.2)]
    for cycle in range(CYCLES):
        goal = start + np.eye(6)[0] * min(0.0005 * cycle, 0.02)
        told.append(control.servoJ(goal.tolist(), 0.0, 0.0, 1 / HZ, 0.05, 500.0))
        time.sleep(1 / HZ)
        if abs(arm.q()[0] - start[0] - 0.02) < 1e-3:
            break
    told.append(control.servoStop(10.0))
    low = arm.pose()[2]
    for _ in range(CYCLES):
        told.append(control.speedL([0.0, 0.0, 0.03, 0.0, 0.0, 0.0], 1.0, 0.0))
        time.sleep(1 / HZ)
        if arm.pose()[2] > low + 0.005:
            break
    told.append(control.speedStop(10.0))
    return {"all": all(told), "servoed": float(arm.q()[0] - start[0]), "lifted": float(arm.pose()[2] - low)}


def _settles(control: Any) -> bool:
    """Whether the arm stands within 2 s: a move is over when its path is, and the arm follows its path late."""
    for _ in range(100):
        if control.isSteady():
            return True
        time.sleep(0.02)
    return False


def asks(arm: Arm) -> dict[str, Any]:
    control = arm.control
    given = [0.0, 0.0, 0.15, 0.0, 0.0, 0.0]
    zeroed = control.zeroFtSensor()
    told = {
        "steady": _settles(control),
        "zeroed": zeroed,
        "inverse_off": off(control.getInverseKinematics(arm.pose().tolist(), arm.q().tolist()), arm.q()),
        "tcp_set": control.setTcp(given),
        "tcp_off": off(control.getTCPOffset(), given),
        "payload_set": control.setPayload(1.0, [0.0, 0.0, 0.05]),
        "slider_set": arm.io.setSpeedSlider(0.5),
        "output_set": arm.io.setStandardDigitalOut(2, True),
    }
    for _ in range(CYCLES):
        if arm.receive.getPayload() == 1.0 and arm.receive.getDigitalOutState(2):
            break
        time.sleep(1 / HZ)
    told["seen"] = [arm.receive.getTargetSpeedFraction(), arm.receive.getDigitalOutState(2), arm.receive.getPayload()]
    return {**told, "slider_back": arm.io.setSpeedSlider(1.0)}


def stops(arm: Arm) -> dict[str, Any]:
    arm.control.triggerProtectiveStop()
    for _ in range(CYCLES):
        if arm.receive.isProtectiveStopped():
            break
        time.sleep(1 / HZ)
    told = {
        "stopped": arm.receive.isProtectiveStopped(),
        "servo": arm.control.servoJ(arm.q().tolist(), 0, 0, 0.008, 0.1, 300),
    }
    try:
        arm.dashboard.unlockProtectiveStop()
    except RuntimeError as error:
        told["unlock"] = str(error)
    return told


STEPS = {step.__name__: step for step in (looks, moves, asks, streams, stops)}

if __name__ == "__main__":
    robot = Arm(sys.argv[1])
    print(json.dumps({name: STEPS[name](robot) for name in sys.argv[2:] or STEPS}), flush=True)
    os._exit(0)  # the client's own way out sleeps half a second an interface
