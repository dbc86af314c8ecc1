"""Off-screen camera frames of the simulated cell: EGL where it works, else OSMesa, else one sentence.

MuJoCo's own renderer fixes its backend when `mujoco` is imported; here it is chosen when the first frame is asked
for. `MUJOCO_GL=egl` or `osmesa` forces one; what else MuJoCo knows chooses nothing here, and what it does not know is
refused when `robot_io.sim` is imported.
"""

from __future__ import annotations

import ctypes
import os
import weakref
from importlib import import_module
from typing import Any

import mujoco
import numpy as np

from episodes.errors import MissingExtra
from episodes.record import Array

LIBRARIES = {"egl": "libEGL.so.1", "osmesa": "libOSMesa.so.8"}
MAX_GEOMS = 300


class CameraRenderer:
    """Square RGB frames of one model; one GL context shared by its cameras."""

    def __init__(self, model: Any, size_px: int) -> None:
        self._size_px = size_px
        self._gl = open_context(size_px)
        self._gl.make_current()
        self._scene = mujoco.MjvScene(model=model, maxgeom=MAX_GEOMS)
        self._context = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_100.value)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN.value, self._context)
        self._free = weakref.finalize(self, _free, self._gl, self._context)
        self._options, self._view = mujoco.MjvOption(), mujoco.MjvCamera()
        self._view.type = mujoco.mjtCamera.mjCAMERA_FIXED

    def frame(self, model: Any, data: Any, camera: str) -> Array:
        """(size, size, 3) uint8 RGB."""
        self._gl.make_current()
        self._view.fixedcamid = model.camera(camera).id
        everything = mujoco.mjtCatBit.mjCAT_ALL.value
        mujoco.mjv_updateScene(model, data, self._options, None, self._view, everything, self._scene)
        window = mujoco.MjrRect(0, 0, self._size_px, self._size_px)
        mujoco.mjr_render(window, self._scene, self._context)
        pixels = np.empty((self._size_px, self._size_px, 3), np.uint8)
        mujoco.mjr_readPixels(pixels, None, window, self._context)
        return pixels[::-1].copy()

    def close(self) -> None:
        """Free what the GL side holds; a second call does nothing."""
        self._free()


def _free(gl: Any, context: Any) -> None:
    """MuJoCo frees its GL objects in whichever context is current: left alone, they would be another renderer's."""
    with gl.as_current():
        context.free()
    gl.free()


def open_context(size_px: int) -> Any:
    """The first GL context that opens. Raises `MissingExtra` when none does."""
    forced = os.environ.get("MUJOCO_GL", "").lower()
    for backend in [forced] if forced in LIBRARIES else LIBRARIES:
        if not _usable(backend):
            continue
        os.environ["PYOPENGL_PLATFORM"] = backend
        try:
            return import_module(f"mujoco.{backend}").GLContext(size_px, size_px)
        except (ImportError, AttributeError, RuntimeError):
            continue
    raise MissingExtra(
        "camera images need off-screen OpenGL and neither EGL nor OSMesa opens here; "
        "run `apt-get install libegl1 libegl-mesa0 libgl1-mesa-dri libosmesa6` or ask for no cameras"
    )


def _usable(backend: str) -> bool:
    """Whether the library loads and, for EGL, sees a device: PyOpenGL cannot change its mind once it has begun."""
    try:
        library = ctypes.CDLL(LIBRARIES[backend])
    except OSError:
        return False
    return backend != "egl" or _egl_devices(library) > 0


def _egl_devices(library: Any) -> int:
    library.eglGetProcAddress.restype = ctypes.c_void_p
    address = library.eglGetProcAddress(b"eglQueryDevicesEXT")
    if not address:
        return 0
    query = ctypes.CFUNCTYPE(ctypes.c_uint, ctypes.c_int, ctypes.c_void_p, ctypes.POINTER(ctypes.c_int))(address)
    count = ctypes.c_int(0)
    return count.value if query(0, None, ctypes.byref(count)) else 0
