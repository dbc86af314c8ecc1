"""The terminal's keys, one by one and without waiting; and a line back to the person.

The terminal gives each key at once and shows none; Ctrl-C works as ever. `close` puts it back as it was.
"""

from __future__ import annotations

import os
import re
import termios
import tty
from contextlib import suppress

from episodes.errors import DeviceError

TERMINAL = "/dev/tty"
_KEY = re.compile(r"\x1b\[[0-9;]*[A-Za-z~]|\x1bO[A-Z]|.", re.DOTALL)
_ARROWS = {"A": "up", "B": "down", "C": "right", "D": "left"}
_NAMED = {"\x1b[5~": "page up", "\x1b[6~": "page down", "\r": "enter", "\n": "enter", "\x7f": "backspace"}


class Terminal:
    """One terminal, from a file that is open for reading and writing."""

    def __init__(self, file: int) -> None:
        self._file = file
        self._before = termios.tcgetattr(file)
        tty.setcbreak(file, termios.TCSANOW)
        os.set_blocking(file, False)

    @classmethod
    def open(cls) -> Terminal:
        """The one this program runs in, in the foreground; `DeviceError` where there is none."""
        try:
            file = os.open(TERMINAL, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
        except OSError as error:
            raise DeviceError("there is no terminal to read keys from; run this command in one") from error
        if os.tcgetpgrp(file) != os.getpgrp():
            os.close(file)
            raise DeviceError("this command runs in the background, where it gets no keys; run it in the foreground")
        return cls(file)

    def keys(self) -> list[str]:
        """The keys since the last call: characters as they are, the others by name (`up`, `page up`, `enter`)."""
        read = b""
        with suppress(BlockingIOError):
            while part := os.read(self._file, 1024):
                read += part
        return [_named(found) for found in _KEY.findall(read.decode(errors="replace"))]

    def tell(self, text: str) -> None:
        """A line for the person; one that the terminal does not take now is lost, nobody waits."""
        with suppress(OSError):
            os.write(self._file, f"\r{text}\r\n".encode())

    def close(self) -> None:
        """Put the terminal back and let it go."""
        os.set_blocking(self._file, True)
        termios.tcsetattr(self._file, termios.TCSANOW, self._before)
        os.close(self._file)


def _named(found: str) -> str:
    if found in _NAMED:
        return _NAMED[found]
    return _ARROWS.get(found[-1], "") if found.startswith("\x1b") else found
