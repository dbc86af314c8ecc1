"""A camera that is always up to date: one thread reads it, the newest frame stays, and what is wrong is named.

A missing frame is not a repeated one, and a picture that stands while frames go on coming is worse than none: a model
would act on it. So a frame that cannot be believed is never handed out; `latest` says why instead.
"""

from __future__ import annotations

import threading
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from episodes.errors import DeviceError
from episodes.record import Array, CameraInfo
from robot_io.cameras.frame import Frame, Source

LATE_S = 0.5
"""a newest frame that is older is no picture of now"""
FROZEN_S = 0.5
"""a picture that is the same bit by bit for this long, while frames come: sensors have noise"""
FIRST_S = 10.0
"""a camera may take its time to start"""
DARK = 2.0
"""mean of all pixels, of 255: below, a cap is on or the exposure is wrong"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """What was counted since the camera was opened."""

    frames: int
    dropped: int
    """gaps in the device's own count"""
    age_s: float
    """of the newest frame, since it was captured"""
    transfer_s: float
    """from capture to this program, of the newest frame"""
    trouble: str
    """why the newest frame is not to be believed; empty where it is"""


class StreamingCamera:
    """Implements `Camera` on any `Source`; the source is read from here on, and closed with it."""

    def __init__(
        self,
        name: str,
        source: Source,
        *,
        info: CameraInfo | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """`info` is its calibration, where there is one."""
        self.name, self.info = name, info
        self._source, self._now = source, now
        self._opened_s = now()
        self._newest: Frame | None = None
        self._changed_s, self._print = now(), -1
        self._frames = self._dropped = 0
        self._gone = ""
        self._lock = threading.Lock()
        self._ending = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def latest(self) -> tuple[Array, float]:
        """(H, W, 3) uint8 RGB and its age in seconds. `DeviceError` where it is not a picture of now."""
        health = self.health()
        if health.trouble:
            raise DeviceError(f"camera {self.name} {health.trouble}")
        assert self._newest is not None
        return self._newest.rgb, health.age_s

    def health(self) -> Health:
        """How it does."""
        with self._lock:
            newest, now = self._newest, self._now()
            age_s = now - (newest.captured_s if newest is not None else self._opened_s)
            return Health(
                frames=self._frames,
                dropped=self._dropped,
                age_s=age_s,
                transfer_s=newest.received_s - newest.captured_s if newest is not None else 0.0,
                trouble=self._trouble(newest, now),
            )

    def wait(self) -> None:
        """Until the first frame is there, or it is known that none comes."""
        end_s = self._now() + FIRST_S
        while self._newest is None and not self._gone and self._now() < end_s:
            self._ending.wait(0.01)

    def close(self) -> None:
        """End the thread and let the device go."""
        self._ending.set()
        self._reader.join(FIRST_S)
        self._source.close()

    def _trouble(self, newest: Frame | None, now: float) -> str:
        if self._gone:
            return f"is gone ({self._gone}); see its cable and start again"
        if newest is None:
            return f"has given no frame for {now - self._opened_s:.1f} s; see whether another program has it"
        if now - newest.received_s > LATE_S:
            return f"gave its last frame {now - newest.received_s:.1f} s ago; see its cable and the load of the machine"
        if newest.received_s - self._changed_s > FROZEN_S:
            return f"is frozen: the same picture for {newest.received_s - self._changed_s:.1f} s; plug it in anew"
        if float(newest.rgb[::8, ::8].mean()) < DARK:
            return "is black; see its cap, the light and the exposure"
        return ""

    def _read(self) -> None:
        try:
            while not self._ending.is_set():
                self._take(self._source.next())
        except DeviceError as error:
            with self._lock:
                self._gone = str(error)

    def _take(self, frame: Frame) -> None:
        seen = zlib.crc32(np.ascontiguousarray(frame.rgb).data)
        with self._lock:
            before = self._newest
            if before is not None and frame.rgb.shape != before.rgb.shape:
                raise DeviceError(f"its frames changed from {before.rgb.shape} to {frame.rgb.shape}")
            self._dropped += 0 if before is None else max(frame.number - before.number - 1, 0)
            if seen != self._print:
                self._changed_s, self._print = frame.received_s, seen
            self._newest = frame
            self._frames += 1
