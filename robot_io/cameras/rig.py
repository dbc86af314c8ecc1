"""The cameras of a cell by name, each at its address, and their frames at the size that a robot records.

v4l2:/dev/video0        a webcam or capture card
realsense:SERIAL        the colour camera of that device; `realsense:` where there is one
simulated:              a moving picture, to try everything else
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack

import numpy as np

from episodes.errors import DeviceError, UsageError
from episodes.record import Array, CameraInfo
from episodes.slug import check_slug
from robot_io.cameras.frame import Source
from robot_io.cameras.stream import StreamingCamera

WIDTH, HEIGHT, FPS = 640, 480, 30
KINDS = ("v4l2", "realsense", "simulated")


def open_source(address: str) -> Source:
    """The device at an address. `UsageError` for an address of no kind, `DeviceError` where nothing is there."""
    kind, colon, place = address.partition(":")
    if not colon or kind not in KINDS:
        raise UsageError(f"{address!r} is no camera; give v4l2:/dev/video0, realsense:SERIAL or simulated:")
    if kind == "v4l2":
        from robot_io.cameras.libav import LibavSource

        options = {"video_size": f"{WIDTH}x{HEIGHT}", "framerate": str(FPS), "input_format": "mjpeg"}
        return LibavSource(place, "v4l2", options)
    if kind == "realsense":
        from robot_io.cameras.realsense import RealSenseSource

        return RealSenseSource(place, width=WIDTH, height=HEIGHT, fps=FPS)
    from robot_io.cameras.pattern import PatternSource

    return PatternSource(WIDTH, HEIGHT, FPS)


class CameraRig:
    """All of them, open; use it as a context. A cell's `frame` is this one's."""

    def __init__(self, addresses: Mapping[str, str], calibration: Mapping[str, CameraInfo] | None = None) -> None:
        self._held = ExitStack()
        self.cameras: dict[str, StreamingCamera] = {}
        calibration = calibration or {}
        try:
            for name, address in addresses.items():
                check_slug("camera", name)
                camera = StreamingCamera(name, open_source(address), info=calibration.get(name))
                self._held.callback(camera.close)
                self.cameras[name] = camera
        except BaseException:
            self.close()
            raise
        for camera in self.cameras.values():
            camera.wait()

    def __enter__(self) -> CameraRig:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let all of them go."""
        self._held.close()

    def frame(self, camera: str, image_px: int) -> Array:
        """(image_px, image_px, 3) uint8 RGB: the middle of the newest frame. `DeviceError` where it is none of now."""
        if camera not in self.cameras:
            raise DeviceError(f"there is no camera {camera} here, but {', '.join(self.cameras) or 'none'}")
        return squared(self.cameras[camera].latest()[0], image_px)

    def told(self) -> list[str]:
        """A line for each camera: what it gives, how late, what is missing, what is wrong."""
        return [_line(camera) for camera in self.cameras.values()]


def squared(rgb: Array, image_px: int) -> Array:
    """(H, W, 3) uint8 -> (image_px, image_px, 3): the largest square in the middle, averaged down."""
    import av

    side = min(rgb.shape[:2])
    top, left = (rgb.shape[0] - side) // 2, (rgb.shape[1] - side) // 2
    middle = np.ascontiguousarray(rgb[top : top + side, left : left + side])
    frame = av.VideoFrame.from_ndarray(middle, format="rgb24")
    return np.asarray(frame.reformat(image_px, image_px, interpolation="AREA").to_ndarray())


def _line(camera: StreamingCamera) -> str:
    health = camera.health()
    if health.trouble:
        return f"{camera.name}: {health.trouble}"
    rgb, _ = camera.latest()
    told = f"{camera.name}: {rgb.shape[1]} x {rgb.shape[0]}, {health.frames} frames, {health.dropped} dropped, "
    told += f"{1000 * health.transfer_s:.0f} ms from capture to here"
    missing = [name for name in ("intrinsics", "extrinsics") if getattr(camera.info, name, None) is None]
    return told + (f"; no {' or '.join(missing)}" if missing else "")
