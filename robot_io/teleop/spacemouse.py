"""A SpaceMouse through `pyspacemouse`: read in a thread of its own, so that the newest report is what counts.

One `read` of the library gives one report, and the kernel keeps a queue of them: who reads as slowly as a robot steps
sees the hand of a second ago. A deflected puck repeats its reports; one that was deflected and is silent for `STALE_S`
is lost (wireless, USB), and counts as let go. The left button is the deadman, the right one moves the gripper.
"""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from typing import Any

import numpy as np

from episodes.errors import DeviceError, SafetyStop
from episodes.record import Array
from robot_io.teleop.hand import DEADBAND, Hand

STALE_S = 0.15
POLL_S = 0.004
CHATTER_S = 0.15
"""a gripper button that is down again sooner bounced"""
QUEUED = 1024
"""reports taken at once; more is a device that never rests"""
_DEADMAN, _GRIPPER = ("LEFT", "BTN_1", "1"), ("RIGHT", "BTN_2", "2")


class SpaceMouse:
    """The first SpaceMouse that is connected. `DeviceError` where there is none, or its library is missing."""

    hold_s = 0.3
    legend = "hold the left button and push to drive, the right button opens and closes the gripper"

    def __init__(self, *, now: Callable[[], float] = time.monotonic) -> None:
        self._device = _opened()
        self._now = now
        names = list(self._device.info.button_names)
        if not names:
            self._device.close()
            raise DeviceError(f"{self._device.name} has no button for a deadman; use another, or --teleop keyboard")
        self._deadman, self._gripper = _place(names, _DEADMAN, 0), _place(names, _GRIPPER, 1)
        self._axes: Array = np.zeros(6)
        self._buttons = [0] * len(names)
        self._presses, self._pressed_s, self._heard_s = 0, float("-inf"), now()
        self._seen_t = -1.0
        self._gone = ""
        self._lock = threading.Lock()
        self._ending = threading.Event()
        self._reader = threading.Thread(target=self._drain, daemon=True)
        self._reader.start()

    def read(self, keys: Sequence[str] = ()) -> Hand:
        """The newest; let go where it is lost. `SafetyStop` where it was unplugged."""
        with self._lock:
            if self._gone:
                raise SafetyStop(f"the SpaceMouse is gone ({self._gone}); plug it in and start again")
            deflected = np.abs(self._axes).max() > DEADBAND
            if deflected and self._now() - self._heard_s > STALE_S:
                return Hand(axes=np.zeros(6), held=False, presses=self._presses)
            held, pressed = _at(self._buttons, self._deadman), _at(self._buttons, self._gripper)
            return Hand(axes=self._axes, held=bool(held), presses=self._presses, pressed=bool(pressed))

    def close(self) -> None:
        """End the reading thread and let the device go."""
        self._ending.set()
        self._reader.join()
        self._device.close()

    def _drain(self) -> None:
        from easyhid import HIDException

        try:
            while not self._ending.wait(POLL_S):
                self._take_all()
        except HIDException as error:
            with self._lock:
                self._gone = str(error)

    def _take_all(self) -> None:
        """Every report that is queued; the last one stays, and no press of a button is missed."""
        for _ in range(QUEUED):
            before = self._seen_t
            state = self._device.read()
            self._seen_t = state.t
            if state.t == before:
                return
            with self._lock:
                self._take(state)

    def _take(self, state: Any) -> None:
        now = self._now()
        down = bool(_at(state.buttons, self._gripper))
        if down and not _at(self._buttons, self._gripper) and now - self._pressed_s > CHATTER_S:
            self._presses += 1
            self._pressed_s = now
        self._axes = np.array([state.x, state.y, state.z, state.roll, state.pitch, state.yaw])
        self._buttons, self._heard_s = list(state.buttons), now


def _at(buttons: Sequence[int], place: int) -> int:
    return buttons[place] if place < len(buttons) else 0


def _place(names: Sequence[str], wanted: Sequence[str], otherwise: int) -> int:
    return next((names.index(name) for name in wanted if name in names), otherwise)


def _opened() -> Any:
    """The library's device, its axes with z up. It talks on standard output, which is ours."""
    try:
        import pyspacemouse
    except (ImportError, OSError) as error:
        raise DeviceError(f"the SpaceMouse needs pyspacemouse ({error}); run `pip install pyspacemouse`") from error
    try:
        with redirect_stdout(io.StringIO()):
            return pyspacemouse.open(axis_convention=pyspacemouse.AxisConvention.HID_Z_UP)
    except RuntimeError as error:
        raise DeviceError(_why(str(error))) from error


def _why(told: str) -> str:
    if "HID API" in told:
        return "the SpaceMouse needs the HID library; run `apt-get install libhidapi-hidraw0`"
    if "open" in told:
        return "the SpaceMouse does not open: let this user read /dev/hidraw*, as docs/robot/teleoperation.md says"
    return "no SpaceMouse is connected that pyspacemouse knows; plug one in, or give --teleop keyboard"
