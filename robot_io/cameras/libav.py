"""A camera through PyAV, which is here anyway for datasets: V4L2 devices, and whatever else libav opens as a device.

The kernel stamps a V4L2 frame with the monotonic clock when its exposure ended; where a driver stamps by another clock
the frame counts as captured when it came. V4L2 has no count of its own that libav passes on, so drops do not show here.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

from episodes.errors import DeviceError
from robot_io.cameras.frame import Frame

PLAUSIBLE_S = 1.0
"""a stamp further from now is by another clock"""


class LibavSource:
    """Implements `Source`. `DeviceError` where the device does not open."""

    def __init__(self, device: str, driver: str, options: Mapping[str, str]) -> None:
        """`driver` and `options` are libav's: `v4l2` with `video_size`, `framerate`, `input_format`."""
        import av

        self._device = device
        try:
            self._container = av.open(device, format=driver, options=dict(options))
        except (av.FFmpegError, ValueError, OSError) as error:
            raise DeviceError(f"{device} does not open as {driver} ({error}); see `v4l2-ctl --list-devices`") from error
        self._container.streams.video[0].codec_context.thread_count = 1  # frame threads would hold frames back
        self._frames = self._container.decode(video=0)
        self._number = 0

    def next(self) -> Frame:
        """The next frame that the device gives."""
        import av

        try:
            frame = next(self._frames)
        except (av.FFmpegError, StopIteration, OSError) as error:
            raise DeviceError(f"{self._device} gives no more frames, {error or 'it ended'}") from error
        received_s = time.monotonic()
        stamped = frame.time is not None and 0.0 <= received_s - frame.time < PLAUSIBLE_S
        self._number += 1
        return Frame(
            rgb=frame.to_ndarray(format="rgb24"),
            number=self._number,
            captured_s=float(frame.time) if stamped else received_s,
            received_s=received_s,
        )

    def close(self) -> None:
        """Let the device go."""
        self._container.close()
