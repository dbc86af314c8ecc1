"""A RealSense's colour camera through `pyrealsense2`, which is an extra: `pip install 'regrasp[realsense]'`."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from episodes.errors import DeviceError, MissingExtra
from robot_io.cameras.frame import Frame

WAIT_MS = 2000


class RealSenseSource:
    """Implements `Source`: the device of that serial number, or the only one where it is empty."""

    def __init__(self, serial: str, *, width: int, height: int, fps: int) -> None:
        try:
            import pyrealsense2 as library
        except ImportError as error:
            raise MissingExtra(
                "a RealSense camera needs pyrealsense2; run `pip install 'regrasp[realsense]'`"
            ) from error
        self._library: Any = library
        self._pipeline, config = library.pipeline(), library.config()
        if serial:
            config.enable_device(serial)
        config.enable_stream(library.stream.color, width, height, library.format.rgb8, fps)
        try:
            self._pipeline.start(config)
        except RuntimeError as error:
            raise DeviceError(f"RealSense {serial or 'camera'} does not start ({error}); see its cable") from error

    def next(self) -> Frame:
        """The next colour frame, with the device's own number and time."""
        try:
            frame = self._pipeline.wait_for_frames(WAIT_MS).get_color_frame()
        except RuntimeError as error:
            raise DeviceError(f"it gives no frames, {error}") from error
        received_s = time.monotonic()
        return Frame(
            rgb=np.array(frame.get_data()),
            number=int(frame.get_frame_number()),
            captured_s=received_s - self._age_s(frame),
            received_s=received_s,
        )

    def close(self) -> None:
        """Stop the stream."""
        self._pipeline.stop()

    def _age_s(self, frame: Any) -> float:
        """By wall clock where the device's time is translated to it; a bare hardware clock says nothing here."""
        if frame.get_frame_timestamp_domain() == self._library.timestamp_domain.hardware_clock:
            return 0.0
        return max(time.time() - float(frame.get_timestamp()) / 1000.0, 0.0)
