"""Cameras: the newest frame, what is wrong with one by name, and the genuine libav behind a stand-in device."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from episodes.errors import DeviceError, MissingExtra, UsageError
from episodes.record import CameraInfo
from robot_io.cameras.__main__ import main
from robot_io.cameras.frame import Frame
from robot_io.cameras.libav import LibavSource
from robot_io.cameras.realsense import RealSenseSource
from robot_io.cameras.rig import CameraRig, open_source, squared
from robot_io.cameras.stream import FROZEN_S, LATE_S, StreamingCamera

BRIGHT = np.full((8, 12, 3), 100, np.uint8)


class Given:
    """A source that gives what the test puts, at the test's own time; waits for it meanwhile."""

    def __init__(self) -> None:
        self.now_s, self.number, self.closed = 100.0, 0, False
        self._frames: list[Frame | DeviceError] = []
        self._there = threading.Semaphore(0)
        self.taken = threading.Semaphore(0)

    def now(self) -> float:
        return self.now_s

    def put(self, rgb: np.ndarray, *, skipped: int = 0, delay_s: float = 0.0) -> None:
        self.number += 1 + skipped
        self._give(Frame(rgb=rgb, number=self.number, captured_s=self.now_s - delay_s, received_s=self.now_s))

    def fail(self, why: str) -> None:
        self._give(DeviceError(why))

    def next(self) -> Frame:
        self.taken.release()
        self._there.acquire()
        given = self._frames.pop(0)
        if isinstance(given, DeviceError):
            raise given
        return given

    def close(self) -> None:
        self.closed = True

    def _give(self, what: Frame | DeviceError) -> None:
        self._frames.append(what)
        self._there.release()


@pytest.fixture
def source() -> Given:
    return Given()


@pytest.fixture
def camera(source: Given) -> Iterator[StreamingCamera]:
    camera = StreamingCamera("wrist", source, now=source.now)
    yield camera
    source.fail("the test is over")
    camera.close()
    assert source.closed


def put(source: Given, camera: StreamingCamera, rgb: np.ndarray, **more: Any) -> None:
    """Give a frame, and wait until the camera has it."""
    source.put(rgb, **more)
    until(lambda: camera.health().frames > 0 and not source._frames)
    until(lambda: camera._newest is not None and camera._newest.number == source.number)


def until(true: Callable[[], bool]) -> None:
    for _ in range(5000):
        if true():
            return
        time.sleep(0.002)
    raise AssertionError("it never came")


def noisy(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(60, 90, (8, 12, 3), np.uint8)


def test_the_newest_frame_with_its_age_and_what_was_dropped(source: Given, camera: StreamingCamera) -> None:
    put(source, camera, noisy(0))
    put(source, camera, noisy(1), skipped=3, delay_s=0.05)
    source.now_s += 0.1
    rgb, age_s = camera.latest()
    assert np.array_equal(rgb, noisy(1))
    assert age_s == pytest.approx(0.15)
    health = camera.health()
    assert (health.frames, health.dropped, health.trouble) == (2, 3, "")
    assert health.transfer_s == pytest.approx(0.05)


def test_a_late_frame_is_not_handed_out(source: Given, camera: StreamingCamera) -> None:
    with pytest.raises(DeviceError, match="camera wrist has given no frame"):
        camera.latest()
    put(source, camera, noisy(0))
    source.now_s += 2 * LATE_S
    with pytest.raises(DeviceError, match=r"its last frame 1.0 s ago"):
        camera.latest()
    put(source, camera, noisy(1))
    camera.latest()


def test_a_picture_that_stands_while_frames_come_is_frozen(source: Given, camera: StreamingCamera) -> None:
    for _ in range(4):
        put(source, camera, noisy(0))
        source.now_s += FROZEN_S / 2
    with pytest.raises(DeviceError, match="camera wrist is frozen: the same picture for"):
        camera.latest()
    put(source, camera, noisy(1))
    camera.latest()


def test_black_gone_and_another_size_are_named(source: Given, camera: StreamingCamera) -> None:
    put(source, camera, np.zeros((8, 12, 3), np.uint8))
    with pytest.raises(DeviceError, match="is black"):
        camera.latest()
    source.put(np.full((4, 4, 3), 90, np.uint8))
    until(lambda: "frames changed from (8, 12, 3) to (4, 4, 3)" in camera.health().trouble)


def test_an_unplugged_one_is_gone(source: Given, camera: StreamingCamera) -> None:
    put(source, camera, noisy(0))
    source.fail("no such device")
    until(lambda: "is gone (no such device)" in camera.health().trouble)
    with pytest.raises(DeviceError, match=r"is gone \(no such device\)"):
        camera.latest()


# --- real libraries --------------------------------------------------------------------------------------------------


def test_frames_through_libav_are_rgb() -> None:
    with closing(LibavSource("color=c=red:size=64x48:rate=100", "lavfi", {})) as source:
        frames = [source.next() for _ in range(3)]
    assert [frame.number for frame in frames] == [1, 2, 3]
    assert frames[0].rgb.shape == (48, 64, 3)
    assert np.allclose(frames[0].rgb.mean(axis=(0, 1)), [254, 0, 0], atol=4)
    assert all(frame.captured_s <= frame.received_s for frame in frames)


def test_a_device_that_is_not_there_and_one_that_ends_say_so() -> None:
    with pytest.raises(DeviceError, match="/dev/video99 does not open as v4l2"):
        open_source("v4l2:/dev/video99")
    with closing(LibavSource("testsrc=duration=0.02:size=64x48:rate=100", "lavfi", {})) as source:
        assert [source.next().number, source.next().number] == [1, 2]
        with pytest.raises(DeviceError, match="no more frames"):
            source.next()


def test_without_its_library_a_realsense_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyrealsense2", None)
    with pytest.raises(MissingExtra, match=r"pip install 'regrasp\[realsense\]'"):
        RealSenseSource("", width=640, height=480, fps=30)


class Colour:
    """A colour frame as librealsense gives it."""

    def __init__(self, domain: str) -> None:
        self.domain = domain

    def get_color_frame(self) -> Colour:
        return self

    def get_data(self) -> np.ndarray:
        return BRIGHT

    def get_frame_number(self) -> int:
        return 7

    def get_frame_timestamp_domain(self) -> str:
        return self.domain

    def get_timestamp(self) -> float:
        return 1000.0 * (time.time() - 0.04)


@pytest.mark.parametrize(("domain", "delay_s"), [("global", 0.04), ("hardware", 0.0)])
def test_a_realsense_frame_has_the_devices_number_and_time(
    monkeypatch: pytest.MonkeyPatch, domain: str, delay_s: float
) -> None:
    started: list[tuple[Any, ...]] = []
    pipeline = SimpleNamespace(start=started.append, wait_for_frames=lambda ms: Colour(domain), stop=lambda: None)
    config = SimpleNamespace(enable_device=lambda *a: started.append(a), enable_stream=lambda *a: started.append(a))
    library = SimpleNamespace(
        pipeline=lambda: pipeline,
        config=lambda: config,
        stream=SimpleNamespace(color="color"),
        format=SimpleNamespace(rgb8="rgb8"),
        timestamp_domain=SimpleNamespace(hardware_clock="hardware"),
    )
    monkeypatch.setitem(sys.modules, "pyrealsense2", library)
    with closing(RealSenseSource("123", width=12, height=8, fps=30)) as source:
        frame = source.next()
    assert started == [("123",), ("color", 12, 8, "rgb8", 30), config]
    assert frame.number == 7
    assert frame.received_s - frame.captured_s == pytest.approx(delay_s, abs=0.03)


# --- the rig ---------------------------------------------------------------------------------------------------------


def test_a_rig_gives_square_frames_and_names_what_is_not_calibrated() -> None:
    known = CameraInfo(height_px=480, width_px=640, intrinsics=(1.0, 1.0, 0.0, 0.0))
    with CameraRig({"third": "simulated:", "wrist": "simulated:"}, {"wrist": known}) as rig:
        frame = rig.frame("third", 64)
        third, wrist = rig.told()
        with pytest.raises(DeviceError, match="no camera side here"):
            rig.frame("side", 64)
    assert (frame.shape, frame.dtype) == ((64, 64, 3), np.uint8)
    assert "no intrinsics or extrinsics" in third
    assert wrist.endswith("; no extrinsics")


def test_the_middle_square_is_averaged_down() -> None:
    rgb = np.zeros((48, 64, 3), np.uint8)
    rgb[:, 8:32], rgb[:, :8] = 200, 99
    small = squared(rgb, 2)
    assert np.allclose(small[:, 0], 200, atol=2)
    assert np.allclose(small[:, 1], 0, atol=2)


def test_an_address_of_no_kind_is_refused() -> None:
    with pytest.raises(UsageError, match="'webcam' is no camera"):
        CameraRig({"third": "webcam"})


def test_looking_at_cameras_from_the_shell(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("robot_io.cameras.__main__.LOOK_S", 0.1)
    assert main(["third=simulated:"]) == 0
    assert "third: 640 x 480" in capsys.readouterr().out
    assert main(["third=v4l2:/dev/video99"]) == 6
    assert "does not open" in capsys.readouterr().err
    assert main(["third"]) == 2
