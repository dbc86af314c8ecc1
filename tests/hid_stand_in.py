"""A SpaceMouse that is not there, for the genuine `pyspacemouse`: at its HID device, or below, in place of the library.

A SpaceMouse Compact sends 16-bit axes, x to the right, y towards the person, z down, full scale 350: report 1 is the
translation, report 2 the rotation, report 3 the buttons.
"""

from __future__ import annotations

import os
import shutil
import socket
import struct
import subprocess
import threading
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

LEFT, RIGHT = 1, 2
STILL = (0, 0, 0, 0, 0, 0)
VENDOR, PRODUCT = 0x256F, 0xC635

LIBRARY = r"""
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <wchar.h>
struct hid_device_info {
  char *path; unsigned short vendor_id, product_id; wchar_t *serial_number; unsigned short release_number;
  wchar_t *manufacturer_string, *product_string; unsigned short usage_page, usage; int interface_number;
  struct hid_device_info *next;
};
typedef struct { int fd; } hid_device;
struct hid_device_info *hid_enumerate(unsigned short v, unsigned short p) {
  char *path = getenv("STAND_IN_PUCK");
  if (!path || access(path, F_OK)) return NULL;
  struct hid_device_info *d = calloc(1, sizeof *d);
  d->path = strdup(path); d->vendor_id = 0x256f; d->product_id = 0xc635;
  d->serial_number = L"1"; d->manufacturer_string = L"stand-in"; d->product_string = L"SpaceMouse Compact";
  return d;
}
void hid_free_enumeration(struct hid_device_info *d) { if (d) { free(d->path); free(d); } }
hid_device *hid_open_path(const char *path) {
  struct sockaddr_un at = {.sun_family = AF_UNIX};
  strncpy(at.sun_path, path, sizeof at.sun_path - 1);
  int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  if (connect(fd, (struct sockaddr *)&at, sizeof at)) { close(fd); return NULL; }
  hid_device *d = malloc(sizeof *d); d->fd = fd; return d;
}
int hid_set_nonblocking(hid_device *d, int on) { return 0; }
int hid_read(hid_device *d, unsigned char *data, size_t length) {
  ssize_t n = recv(d->fd, data, length, MSG_DONTWAIT);
  if (n < 0) return errno == EAGAIN ? 0 : -1;
  return n ? (int)n : -1;
}
void hid_close(hid_device *d) { close(d->fd); free(d); }
"""


def built(folder: Path) -> Path | None:
    """The folder to put into `LD_LIBRARY_PATH`; None where there is no compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        return None
    (folder / "hid.c").write_text(LIBRARY)
    made = folder / "libhidapi-hidraw.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-w", "-o", made, folder / "hid.c"], check=True)
    shutil.copy(made, folder / "libhidapi-hidraw.so.0")
    return folder


def reports(axes: Sequence[int], buttons: int) -> list[bytes]:
    """What the device sends for one moment of a hand; `axes` as the device counts them."""
    moved, turned = struct.pack("<B3h", 1, *axes[:3]), struct.pack("<B3h", 2, *axes[3:])
    return [moved, turned, bytes([3, buttons, 0, 0, 0, 0, 0])]


class Puck:
    """The other end of the stand-in library: a hand that repeats itself, as a device does, until told otherwise."""

    def __init__(self, path: Path) -> None:
        self._server = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._server.bind(str(path))
        self._server.listen()
        self.environment = {**os.environ, "STAND_IN_PUCK": str(path)}
        self._hand = (STILL, 0)
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._repeat)
        self._thread.start()

    def push(self, axes: Sequence[int], buttons: int) -> None:
        """From now on."""
        self._hand = (tuple(axes), buttons)

    def close(self) -> None:
        """Unplug it."""
        self._ending.set()
        self._thread.join()
        self._server.close()

    def _repeat(self) -> None:
        self._server.setblocking(False)
        opened: list[socket.socket] = []
        while not self._ending.wait(0.02):
            with suppress(BlockingIOError):
                opened.append(self._server.accept()[0])
            for one in list(opened):
                try:
                    for report in reports(*self._hand):
                        one.send(report)
                except OSError:
                    opened.remove(one)
                    one.close()
        for one in opened:
            one.close()


class FakeHid:
    """What `easyhid` gives for one device, with a queue of reports; `unplugged` makes it fail as a lost one does."""

    vendor_id, product_id, release_number = VENDOR, PRODUCT, 1
    path, product_string, manufacturer_string, serial_number = "/dev/hidraw9", "SpaceMouse Compact", "stand-in", "1"

    def __init__(self) -> None:
        self.queue: deque[bytes] = deque()
        self.unplugged = self.closed = False

    def find(self) -> list[FakeHid]:
        return [self]

    def push(self, axes: Sequence[int], buttons: int) -> None:
        self.queue += reports(axes, buttons)

    def open(self) -> None:
        """There is nothing to open."""

    def close(self) -> None:
        self.closed = True

    def set_nonblocking(self, on: bool) -> None:
        assert on

    def read(self, size: int) -> bytes:
        from easyhid import HIDException

        if self.unplugged:
            raise HIDException("Failed to read from HID device: -1")
        return self.queue.popleft()[:size] if self.queue else b""
